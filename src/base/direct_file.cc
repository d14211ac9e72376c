#include "base/direct_file.h"

#include <algorithm>
#include <cstring>

#include "base/aligned_memory.h"

namespace sluice {
namespace {

// Large enough that a write's fixed cost is lost in it.
constexpr std::size_t staging_size = 1024 * 1024;

// One for each thread that writes, not for each file. Never touched by others; what it holds
// matters only within one write_at().
std::byte* staging() {
  thread_local const AlignedMemory memory(staging_size);
  return memory.bytes().data();
}

}  // namespace

// Lets the tail be what stands before `at` in its block.
Result<void> DirectFile::begin_at(std::uint64_t at) {
  if (tail_.end() == at) return {};
  Tail tail{.at = block_before(at), .bytes = Buffer(at - block_before(at))};
  SLUICE_TRY_ASSIGN(const std::size_t count, plain_->read_at(tail.at, tail.bytes));
  std::fill(tail.bytes.begin() + count, tail.bytes.end(), std::byte{0});  // the file ends before
  tail_ = std::move(tail);
  return {};
}

Result<void> DirectFile::write_at(std::uint64_t at, std::span<const Bytes> pieces) {
  SLUICE_TRY(begin_at(at));
  std::byte* const out = staging();
  std::size_t filled = tail_.bytes.size();
  std::copy(tail_.bytes.begin(), tail_.bytes.end(), out);
  std::uint64_t to = tail_.at;
  for (Bytes piece : pieces) {
    while (!piece.empty()) {
      const std::size_t count = std::min(piece.size(), staging_size - filled);
      std::memcpy(out + filled, piece.data(), count);
      filled += count;
      piece = piece.subspan(count);
      if (filled < staging_size) continue;
      const Bytes full(out, staging_size);
      SLUICE_TRY(direct_->write_at(to, {&full, 1}));
      to += staging_size;
      filled = 0;
    }
  }
  const std::size_t whole = block_before(filled);
  const Bytes rest(out + whole, filled - whole);
  const Bytes last(out, rest.empty() ? whole : whole + direct_block);
  if (!last.empty()) {
    std::fill(out + filled, out + last.size(), std::byte{0});
    SLUICE_TRY(direct_->write_at(to, {&last, 1}));
  }
  // Not before: after a failure the tail is what it was, for the next try.
  tail_ = {.at = to + whole, .bytes = Buffer(rest.begin(), rest.end())};
  return {};
}

Result<std::size_t> DirectFile::read_at(std::uint64_t at, MutableBytes out) {
  SLUICE_TRY_ASSIGN(const std::size_t count, plain_->read_at(at, out));
  if (tail_.bytes.empty() || at + count <= tail_.end()) return count;
  SLUICE_TRY_ASSIGN(const std::uint64_t end, size());
  return std::min<std::size_t>(count, end - std::min(at, end));
}

Result<void> DirectFile::truncate(std::uint64_t size) {
  SLUICE_TRY(plain_->truncate(size));
  tail_ = {};
  return {};
}

Result<std::uint64_t> DirectFile::size() {
  SLUICE_TRY_ASSIGN(const std::uint64_t size, plain_->size());
  const bool filled_up = !tail_.bytes.empty() && size == tail_.at + direct_block;
  return filled_up ? tail_.end() : size;
}

}  // namespace sluice
