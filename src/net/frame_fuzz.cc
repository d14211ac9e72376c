// The input is what a client sends. Laws: however it is split, the same comes out; and what came
// out, encoded again in frames of one byte of another mask, comes out again.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "net/client_frames_test.h"
#include "net/frame.h"

namespace sluice::net {
namespace {

constexpr std::uint64_t payload_max = 1 << 20;

void check(bool law) {
  if (!law) std::abort();
}

struct Outcome {
  Buffer payload;
  std::optional<Buffer> ping;  // the last one
  std::optional<CloseCode> close;
  std::string_view error;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// In pieces of `first` bytes, then of `step`.
Outcome decode(Bytes stream, std::size_t first, std::size_t step) {
  FrameDecoder decoder(payload_max);
  Outcome outcome;
  std::size_t size = first;
  while (!stream.empty() && !decoder.close_code()) {
    size = std::min(size, stream.size());
    Buffer part(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
    const std::size_t payload = decoder.decode(part);
    check(payload <= size);
    append(outcome.payload, Bytes(part).first(payload));
    if (const auto ping = decoder.take_ping()) outcome.ping = Buffer(ping->begin(), ping->end());
    stream = stream.subspan(size);
    size = step;
  }
  outcome.close = decoder.close_code();
  outcome.error = decoder.error();
  return outcome;
}

Buffer encode(const Outcome& outcome) {
  Buffer out;
  const std::size_t half = outcome.payload.size() / 2;
  append_client_frame(out, 0x02, Bytes(outcome.payload).first(half), 0xfe'00'13'57);
  if (outcome.ping) append_client_frame(out, final_frame(Opcode::ping), *outcome.ping);
  append_client_frame(out, 0x80, Bytes(outcome.payload).subspan(half), 0x01'00'00'00);
  return out;
}

}  // namespace
}  // namespace sluice::net

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::net;
  const sluice::Bytes in(reinterpret_cast<const std::byte*>(data), size);
  const Outcome whole = decode(in, std::max<std::size_t>(size, 1), 1);
  for (const std::size_t first : {1u, 2u, 5u, 13u, 64u}) check(decode(in, first, size) == whole);
  check(decode(in, 1, 1) == whole);
  check(decode(in, 3, 7) == whole);

  Outcome again = decode(encode(whole), 11, 17);
  check(!again.close);
  check(again.payload == whole.payload && again.ping == whole.ping);
  return 0;
}
