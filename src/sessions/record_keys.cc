// Keys of the rows: what they name, and where they lie.
#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "sessions/record.h"

namespace sluice::sessions {
namespace {

constexpr char meta_tag = 'm';
constexpr char filter_tag = 'f';
constexpr char progress_tag = 'c';
constexpr char evidence_tag = 'p';
constexpr char group_tag = 'g';
constexpr char holder_tag = 'h';
constexpr std::size_t evidence_key_size = 13;

std::string tagged(char tag, std::string_view rest) {
  std::string key(1, tag);
  key += rest;
  return key;
}

// Those of `name`, a byte 0 and anything.
KeyRange keys_behind(char tag, std::string_view name) {
  KeyRange range{tagged(tag, name), tagged(tag, name)};
  range.from += '\0';
  range.until += '\1';
  return range;
}

// Those of names behind `name`, in the order of their bytes; empty: all.
KeyRange keys_after(char tag, std::string_view name) {
  std::string from = tagged(tag, name);
  if (!name.empty()) from += '\0';
  return {std::move(from), std::string(1, static_cast<char>(tag + 1))};
}

std::optional<std::string_view> name_in(std::string_view key, char tag) {
  if (key.empty() || key.front() != tag) return std::nullopt;
  return key.substr(1);
}

}  // namespace

std::string meta_key(std::string_view client_id) { return tagged(meta_tag, client_id); }
std::string progress_key(std::string_view client_id) { return tagged(progress_tag, client_id); }

std::string filter_key(std::string_view client_id, std::string_view text) {
  std::string key = filters_of(client_id).from;
  key += text;
  return key;
}

std::string evidence_key(Partition partition) {
  std::string key(evidence_key_size, evidence_tag);
  auto* const at = reinterpret_cast<std::byte*>(key.data());
  store_be<std::uint64_t>(at + 1, partition.stream.value);
  store_be<std::uint32_t>(at + 9, partition.index);
  return key;
}

std::string group_key(std::string_view text) { return tagged(group_tag, text); }

std::string holder_key(std::string_view text, ShareId share) {
  std::string key = holders_of(text).from;
  key.resize(key.size() + sizeof(share));
  store_be<std::uint64_t>(reinterpret_cast<std::byte*>(key.data()) + key.size() - sizeof(share),
                          share);
  return key;
}

KeyRange metas_after(std::string_view client_id) { return keys_after(meta_tag, client_id); }

KeyRange groups_after(std::string_view text) { return keys_after(group_tag, text); }

KeyRange filters_of(std::string_view client_id) { return keys_behind(filter_tag, client_id); }

KeyRange holders_of(std::string_view text) { return keys_behind(holder_tag, text); }

KeyRange evidence_keys() {
  return {std::string(1, evidence_tag), std::string(1, evidence_tag + 1)};
}

std::optional<std::string_view> client_in_meta_key(std::string_view key) {
  return name_in(key, meta_tag);
}

std::optional<std::string_view> group_in_key(std::string_view key) {
  return name_in(key, group_tag);
}

std::string_view filter_in_key(std::string_view client_id, std::string_view key) {
  return key.substr(client_id.size() + 2);
}

std::optional<Partition> partition_in_evidence_key(std::string_view key) {
  if (key.size() != evidence_key_size || key.front() != evidence_tag) return std::nullopt;
  const auto* const at = as_bytes(key).data();
  return Partition{.stream = {load_be<std::uint64_t>(at + 1)},
                   .index = load_be<std::uint32_t>(at + 9)};
}

ShareId share_in_holder_key(std::string_view text, std::string_view key) {
  const std::string_view share = key.substr(text.size() + 2);
  return share.size() == sizeof(ShareId) ? load_be<std::uint64_t>(as_bytes(share).data()) : 0;
}

std::uint32_t slot_of_group(std::string_view text) { return slot_of_client(text); }

std::uint32_t group_mark(std::string_view text) {
  return std::max(static_cast<std::uint32_t>(murmur2(as_bytes(text))), 1u);
}

}  // namespace sluice::sessions
