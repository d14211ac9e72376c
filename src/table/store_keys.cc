#include "table/store_keys.h"

#include "base/assert.h"

namespace sluice::table {
namespace {

constexpr std::uint8_t fold_state_version = 1;
constexpr std::uint16_t no_slot = 0xffff;

void put_number(std::string& out, std::uint32_t number) {
  out.push_back(static_cast<char>(number >> 8 & 0xff));
  out.push_back(static_cast<char>(number & 0xff));
}

}  // namespace

std::string row_key(std::uint32_t slot, std::string_view key) {
  SLUICE_ASSERT(slot < no_slot);
  std::string stored;
  stored.reserve(2 + key.size());
  put_number(stored, slot);
  stored += key;
  return stored;
}

std::string slot_end(std::uint32_t slot) {
  std::string end;
  put_number(end, slot + 1);
  return end;
}

std::string fold_key(std::uint32_t slot) {
  std::string key;
  put_number(key, no_slot);
  put_number(key, slot);
  return key;
}

Buffer encode_fold_state(const FoldState& state) {
  Buffer out;
  Writer writer(out);
  writer.write<std::uint8_t>(fold_state_version);
  writer.write<std::uint64_t>(state.stream.value);
  writer.write<std::int64_t>(state.next.value);
  writer.write<std::int64_t>(state.folded_at);
  return out;
}

std::optional<FoldState> decode_fold_state(Bytes value) {
  Reader reader(value);
  if (reader.read<std::uint8_t>() != fold_state_version) return std::nullopt;
  FoldState state;
  state.stream.value = reader.read<std::uint64_t>();
  state.next.value = reader.read<std::int64_t>();
  state.folded_at = reader.read<std::int64_t>();
  if (!reader.ok() || reader.left() != 0) return std::nullopt;
  return state;
}

}  // namespace sluice::table
