#include "log/segment_index.h"

#include <algorithm>

#include "base/hash.h"

namespace sluice::log {
namespace {

constexpr std::uint32_t magic = 0x534c4958;  // "SLIX"
constexpr std::uint32_t version = 1;
constexpr std::size_t crc_at = 4;  // covers all behind itself

std::uint32_t checksum(Bytes bytes) {
  return crc32c(bytes.subspan(crc_at + sizeof(std::uint32_t)));
}

}  // namespace

void SegmentIndex::add(Offset from, std::uint64_t at, WallMs max_timestamp) {
  if (entries_.empty() || at >= entries_.back().at + spacing)
    entries_.push_back({from, at, max_timestamp_});
  max_timestamp_ = std::max(max_timestamp_, max_timestamp);
}

std::uint64_t SegmentIndex::find(Offset offset) const {
  const auto after =
      std::upper_bound(entries_.begin(), entries_.end(), offset,
                       [](Offset wanted, const Entry& entry) { return wanted < entry.from; });
  return after == entries_.begin() ? 0 : std::prev(after)->at;
}

std::uint64_t SegmentIndex::find_time(WallMs when) const {
  const auto after =
      std::partition_point(entries_.begin(), entries_.end(),
                           [when](const Entry& entry) { return entry.max_before < when; });
  return after == entries_.begin() ? 0 : std::prev(after)->at;
}

std::optional<Offset> SegmentIndex::offset_at(std::uint64_t at) const {
  const auto after = entry_behind(at);
  if (after == entries_.begin()) return std::nullopt;
  return std::prev(after)->from;
}

std::uint64_t SegmentIndex::next_entry(std::uint64_t at) const {
  const auto after = entry_behind(at);
  return after == entries_.end() ? none : after->at;
}

std::vector<SegmentIndex::Entry>::const_iterator SegmentIndex::entry_behind(
    std::uint64_t at) const {
  return std::upper_bound(
      entries_.begin(), entries_.end(), at,
      [](std::uint64_t wanted, const Entry& entry) { return wanted < entry.at; });
}

Buffer SegmentIndex::encode(Offset base, std::uint64_t segment_size) const {
  Buffer bytes;
  Writer writer(bytes);
  writer.write<std::uint32_t>(magic);
  writer.write<std::uint32_t>(0);  // the checksum, below
  writer.write<std::uint32_t>(version);
  writer.write<std::uint32_t>(static_cast<std::uint32_t>(entries_.size()));
  writer.write<std::int64_t>(base.value);
  writer.write<std::uint64_t>(segment_size);
  writer.write<std::int64_t>(max_timestamp_);
  for (const Entry& entry : entries_) {
    writer.write<std::int64_t>(entry.from - base);
    writer.write<std::uint64_t>(entry.at);
    writer.write<std::int64_t>(entry.max_before);
  }
  writer.patch<std::uint32_t>(crc_at, checksum(bytes));
  return bytes;
}

Result<SegmentIndex> SegmentIndex::decode(Bytes bytes, Offset base, std::uint64_t segment_size) {
  Reader reader(bytes);
  const auto found_magic = reader.read<std::uint32_t>();
  const auto crc = reader.read<std::uint32_t>();
  const auto found_version = reader.read<std::uint32_t>();
  const auto count = reader.read<std::uint32_t>();
  const auto found_base = reader.read<std::int64_t>();
  const auto found_size = reader.read<std::uint64_t>();
  if (!reader.ok() || found_magic != magic || found_version != version || crc != checksum(bytes))
    return fail(Errc::corrupt, "segment index is damaged");
  if (found_base != base.value || found_size != segment_size)
    return fail(Errc::corrupt, "segment index belongs to another segment");
  SegmentIndex index;
  index.max_timestamp_ = reader.read<std::int64_t>();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    Entry& entry = index.entries_.emplace_back();
    entry.from = base + reader.read<std::int64_t>();
    entry.at = reader.read<std::uint64_t>();
    entry.max_before = reader.read<std::int64_t>();
  }
  if (!reader.ok() || reader.left() != 0) return fail(Errc::corrupt, "segment index is damaged");
  return index;
}

}  // namespace sluice::log
