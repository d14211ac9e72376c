#include "sim/unsynced_content.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace sluice::sim {

namespace {

constexpr std::size_t sector_size = UnsyncedContent::sector_size;

// What becomes of one unsynced change. A crash draws one fate for all changes of a file, or one for
// each.
enum Fate : std::size_t { lost, kept, prefix, scattered, fates };

std::uint64_t sectors_for(std::uint64_t bytes) { return (bytes + sector_size - 1) / sector_size; }

}  // namespace

std::size_t UnsyncedContent::read(std::uint64_t at, MutableBytes out) const {
  if (at >= size_ || out.empty()) return 0;
  const auto count = std::min<std::uint64_t>(out.size(), size_ - at);
  std::memcpy(out.data(), data_.data() + at, count);
  return count;
}

void UnsyncedContent::write(std::uint64_t at, Bytes bytes) {
  if (bytes.empty()) return;
  const auto end = at + bytes.size();
  const auto size_after = std::max(size_, end);
  save(at, end, size_after, false);
  std::memcpy(data_.data() + at, bytes.data(), bytes.size());
  size_ = size_after;
}

void UnsyncedContent::truncate(std::uint64_t size) {
  const auto cut_from = std::min(size, size_);
  save(cut_from, size_, size, true);
  set_zero(cut_from, size_);
  size_ = size;
  make_room(size);
}

void UnsyncedContent::set_zero(std::uint64_t from, std::uint64_t until) {
  if (from < until) std::memset(data_.data() + from, 0, until - from);
}

void UnsyncedContent::make_room(std::uint64_t size) {
  const auto before = data_.size();
  const auto room = sectors_for(size) * sector_size;
  if (room <= before) return;
  data_.resize(room);
  set_zero(before, room);
}

// Records a change of [from, until) before it is made, and makes room for it.
void UnsyncedContent::save(std::uint64_t from, std::uint64_t until, std::uint64_t size_after,
                           bool cut) {
  const auto first = from / sector_size;
  const auto end = std::max(first, sectors_for(until));
  make_room(end * sector_size);
  changes_.push_back({first, end - first, undo_.size(), size_after, cut});
  append(undo_, Bytes(sector(first), (end - first) * sector_size));
}

void UnsyncedContent::sync() {
  if (!orphans_.empty()) {
    for (const auto& change : changes_) {
      const auto from = orphans_.lower_bound(change.first_sector);
      orphans_.erase(from, orphans_.lower_bound(change.first_sector + change.sectors));
    }
  }
  changes_.clear();
  undo_.clear();
  synced_size_ = size_;
}

void UnsyncedContent::sync_failed() {
  for (const auto& change : changes_) {
    for (std::size_t i = 0; i < change.sectors; ++i) {
      const auto [orphan, is_new] = orphans_.try_emplace(change.first_sector + i);
      if (is_new)
        std::copy_n(undo_.data() + change.undo_at + i * sector_size, sector_size,
                    orphan->second.begin());
    }
  }
  changes_.clear();
  undo_.clear();
}

void UnsyncedContent::crash(Random& random) {
  undo_all();
  const auto size = redo_some(random);
  restore_orphans(random);
  set_size_after_crash(size);
  changes_.clear();
  undo_.clear();
  orphans_.clear();
}

void UnsyncedContent::swap_sector(const Change& change, std::size_t index) {
  std::swap_ranges(sector(change.first_sector + index), sector(change.first_sector + index + 1),
                   undo_.data() + change.undo_at + index * sector_size);
}

// Backwards, so that each change's place in undo_ then holds the sectors as they were just after
// it.
void UnsyncedContent::undo_all() {
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    for (std::size_t i = 0; i < change->sectors; ++i) swap_sector(*change, i);
  }
}

// Returns the size that the file is left with.
std::uint64_t UnsyncedContent::redo_some(Random& random) {
  // The fate of all, or `fates`: each its own. `prefix` of all is: in order up to a torn one.
  const auto common = random.below(fates + 1);
  const auto count = changes_.size();
  const auto torn = common == prefix && count > 0 ? random.below(count) : count;
  auto size_version = random.below(count + 1);
  if (common == lost) size_version = 0;
  if (common == kept) size_version = count;
  if (torn < count) size_version = torn + random.below(2);

  for (std::size_t i = 0; i < count; ++i) {
    auto fate = common == fates ? random.below(fates) : common;
    if (common == prefix && i != torn) fate = i < torn ? kept : lost;
    if (changes_[i].cut) fate = i < size_version ? kept : lost;
    redo(changes_[i], fate, random);
  }
  return size_version == 0 ? synced_size_ : changes_[size_version - 1].size_after;
}

void UnsyncedContent::redo(const Change& change, std::size_t fate, Random& random) {
  if (fate == lost) return;
  const auto end = fate == prefix ? random.below(change.sectors + 1) : change.sectors;
  for (std::size_t i = 0; i < end; ++i) {
    if (fate == scattered && random.one_in(2)) continue;
    std::copy_n(undo_.data() + change.undo_at + i * sector_size, sector_size,
                sector(change.first_sector + i));
  }
}

void UnsyncedContent::restore_orphans(Random& random) {
  for (const auto& [number, content] : orphans_) {
    if (random.one_in(2)) std::ranges::copy(content, sector(number));
  }
}

void UnsyncedContent::set_size_after_crash(std::uint64_t size) {
  make_room(size);
  data_.resize(sectors_for(size) * sector_size);
  set_zero(size, data_.size());
  size_ = synced_size_ = size;
}

void UnsyncedContent::flip_bit(std::uint64_t at) {
  SLUICE_ASSERT(at < size_);
  data_[at] ^= std::byte{1};
}

}  // namespace sluice::sim
