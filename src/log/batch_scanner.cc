#include "log/batch_scanner.h"

#include <algorithm>

#include "log/batch_layout.h"

namespace sluice::log {

Result<Bytes> FileSource::bytes(std::uint64_t at, std::uint64_t size) {
  size = std::min(size, end_ - std::min(at, end_));
  if (size > 0 && (at < buffer_at_ || at + size > buffer_at_ + buffer_.size())) {
    const std::uint64_t wanted = std::max(size, std::min<std::uint64_t>(step_, end_ - at));
    buffer_.resize(wanted);
    buffer_at_ = at;
    SLUICE_TRY_ASSIGN(const std::size_t got, file_.read_at(at, buffer_));
    buffer_.resize(got);
    if (got < wanted) end_ = at + got;  // the file is shorter than it was
    size = std::min<std::uint64_t>(size, got);
  }
  return size > 0 ? Bytes(buffer_).subspan(at - buffer_at_, size) : Bytes();
}

Result<std::optional<BatchScanner::Found>> BatchScanner::next() {
  damage_ = false;
  while (range_.at < range_.end) {
    SLUICE_TRY_ASSIGN(auto found, try_at(range_.at));
    if (found) {
      range_.at += found->bytes.size();
      range_.floor = found->until();
      return found;
    }
    damage_ = true;
    ++range_.at;
  }
  return std::nullopt;
}

// Cheap tests first: a search through damage comes here for each byte.
Result<std::optional<BatchScanner::Found>> BatchScanner::try_at(std::uint64_t at) {
  if (range_.end - at < batch_header_size) return std::nullopt;
  SLUICE_TRY_ASSIGN(const Bytes head, source_.bytes(at, batch_header_size));
  if (head.size() < batch_header_size || head[layout::magic] != std::byte{2}) return std::nullopt;
  const auto header = decode_batch_header(head);
  if (!header || header->total_size() > range_.end - at) return std::nullopt;
  Found found{.at = at, .bytes = {}, .header = *header, .after_damage = damage_};
  if (header->last_offset_delta < 0 || found.from() < range_.floor ||
      found.until() > range_.ceiling)
    return std::nullopt;
  SLUICE_TRY_ASSIGN(found.bytes, source_.bytes(at, header->total_size()));
  if (!validate_batch(found.bytes)) return std::nullopt;
  return found;
}

}  // namespace sluice::log
