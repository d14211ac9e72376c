#include "sessload/messages.h"

#include <cstring>

#include "sessload/packets.h"

namespace sessload {

std::string_view Messages::topic(std::uint32_t number) {
  topic_.assign(options_.prefix);
  topic_ += '/';
  topic_ += std::to_string(number);
  return topic_;
}

void Messages::put_payload(std::string& out, std::uint32_t number, std::uint32_t sequence) const {
  const std::uint32_t first = whose(number);
  const std::size_t at = out.size();
  out.append(options_.payload, 'm');
  std::memcpy(out.data() + at, &first, sizeof first);
  std::memcpy(out.data() + at + sizeof first, &sequence, sizeof sequence);
  out.back() = static_cast<char>((number + sequence) & 0xff);
}

std::uint32_t Messages::sequence_in(std::string_view payload, std::uint32_t number) const {
  if (payload.size() != options_.payload)
    throw Fault("a payload of " + std::to_string(payload.size()) + " bytes");
  std::uint32_t first = 0;
  std::uint32_t sequence = 0;
  std::memcpy(&first, payload.data(), sizeof first);
  std::memcpy(&sequence, payload.data() + sizeof first, sizeof sequence);
  if (first != whose(number)) throw Fault("a message of another run or session");
  if (byte_of(payload.back()) != ((number + sequence) & 0xff)) throw Fault("a damaged payload");
  if (sequence >= options_.from + options_.each) throw Fault("a message that nobody published");
  return sequence;
}

}  // namespace sessload
