#include "log/key_index.h"

#include <algorithm>
#include <string>

#include "base/hash.h"
#include "log/key_filter.h"

namespace sluice::log {
namespace {

namespace layout = key_index_layout;

constexpr std::uint32_t head_size_max = 32 << 20;
constexpr std::uint32_t block_size_max = 1 << 20;
constexpr std::size_t block_crc_size = 4;

std::unexpected<Error> damaged() { return fail(Errc::corrupt, "key index is damaged"); }

std::string_view cut(std::string_view key) { return key.substr(0, KeyIndex::key_size_max); }

// The entries of one block.
class Entries {
 public:
  explicit Entries(Bytes block) : reader_(block) {}

  // False at the end, and where the block is damaged.
  bool next() {
    if (reader_.left() == 0) return false;
    const std::uint64_t shared = reader_.read_uvarint();
    const Bytes rest = reader_.take(reader_.read_uvarint());
    postings_ = reader_.take(reader_.read_uvarint());
    if (!reader_.ok() || shared > key_.size() || shared + rest.size() > KeyIndex::key_size_max) {
      reader_.set_failed();
      return false;
    }
    key_.resize(shared);
    key_.append(as_text(rest));
    return true;
  }
  [[nodiscard]] bool ok() const { return reader_.ok(); }
  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] Bytes postings() const { return postings_; }

 private:
  Reader reader_;
  std::string key_;
  Bytes postings_;
};

}  // namespace

Selection::Selection(std::vector<Stretch> stretches) : stretches_(std::move(stretches)) {
  std::ranges::sort(stretches_, {}, &Stretch::at);
  std::size_t kept = 0;
  for (const Stretch& stretch : stretches_) {
    if (kept > 0 && stretch.at <= stretches_[kept - 1].until) {
      Stretch& last = stretches_[kept - 1];
      last.until = std::max(last.until, stretch.until);
    } else {
      stretches_[kept++] = stretch;
    }
  }
  stretches_.resize(kept);
}

std::uint64_t Selection::next(std::uint64_t at) const {
  const auto found = std::ranges::upper_bound(stretches_, at, {}, &Stretch::until);
  return found == stretches_.end() ? none : std::max(at, found->at);
}

Result<KeyIndex> KeyIndex::load(BatchSource& file, const Segment& segment) {
  SLUICE_TRY_ASSIGN(const Bytes header, file.bytes(0, layout::header_size));
  if (header.size() < layout::header_size || load_be<std::uint32_t>(header.data()) != layout::magic)
    return damaged();
  const auto head_size = load_be<std::uint32_t>(header.data() + layout::head_size_at);
  if (head_size < layout::header_size || head_size > head_size_max) return damaged();
  SLUICE_TRY_ASSIGN(const Bytes head, file.bytes(0, head_size));
  constexpr std::size_t covered_at = layout::crc_at + sizeof(std::uint32_t);
  if (head.size() < head_size ||
      load_be<std::uint32_t>(head.data() + layout::crc_at) != crc32c(head.subspan(covered_at)))
    return damaged();

  KeyIndex index;
  index.head_ = Buffer(head.begin(), head.end());
  index.segment_size_ = segment.size;
  Reader reader(Bytes(index.head_).subspan(covered_at));
  if (reader.read<std::uint32_t>() != layout::version) return damaged();
  reader.skip(sizeof(std::uint32_t));  // size of the head
  const auto base = reader.read<std::int64_t>();
  const auto size = reader.read<std::uint64_t>();
  const auto generation = reader.read<std::uint32_t>();
  if (base != segment.base.value || size != segment.size || generation != segment.generation)
    return fail(Errc::corrupt, "key index belongs to another segment");
  SLUICE_TRY(index.parse());
  return index;
}

// What stands in the head behind the segment's identity.
Result<void> KeyIndex::parse() {
  constexpr std::size_t counts_size = 3 * sizeof(std::uint32_t);
  Reader reader(Bytes(head_).subspan(layout::header_size - counts_size));
  const auto filter_size = reader.read<std::uint32_t>();
  const auto block_count = reader.read<std::uint32_t>();
  const auto unknown_count = reader.read<std::uint32_t>();
  filter_ = reader.take(filter_size);
  if (filter_size % key_filter::block_size != 0) return damaged();
  std::uint64_t at = 0;
  for (std::uint32_t i = 0; i < unknown_count && reader.ok(); ++i) {
    Stretch& stretch = unknown_.emplace_back();
    stretch.at = at + reader.read_uvarint();
    stretch.until = at = stretch.at + reader.read_uvarint();
    if (stretch.until > segment_size_ || stretch.until < stretch.at) return damaged();
  }
  at = head_.size();
  for (std::uint32_t i = 0; i < block_count && reader.ok(); ++i) {
    Block& block = blocks_.emplace_back();
    block.at = at;
    block.size = static_cast<std::uint32_t>(reader.read_uvarint());
    block.first = as_text(reader.take(reader.read_uvarint()));
    if (block.size <= block_crc_size || block.size > block_size_max) return damaged();
    if (i > 0 && block.first <= blocks_[i - 1].first) return damaged();
    at += block.size;
  }
  return reader.ok() && reader.left() == 0 ? Result<void>{} : damaged();
}

// The block that holds `key` if there is such a key.
std::size_t KeyIndex::block_of(std::string_view key) const {
  const auto after = std::ranges::upper_bound(blocks_, key, {}, &Block::first);
  return after == blocks_.begin() ? 0 : static_cast<std::size_t>(after - blocks_.begin()) - 1;
}

// One question to an index: gathers where the wanted keys are.
class KeyIndex::Search {
 public:
  Search(const KeyIndex& index, BatchSource& file)
      : index_(index),
        file_(file),
        stretches_max_(Selection::stretches_max(index.segment_size_)),
        found_(index.unknown_) {}

  Result<void> find_key(std::string_view key) {
    if (!key_filter::may_hold(index_.filter_, as_bytes(key))) return {};
    return find(key, [key](std::string_view other) { return other == key; });
  }
  Result<void> find_prefix(std::string_view prefix) {
    return find(prefix, [prefix](std::string_view key) { return key.starts_with(prefix); });
  }
  [[nodiscard]] Selection finish() {
    if (everywhere_) found_.assign(1, {0, index_.segment_size_});
    return Selection(std::move(found_));
  }

 private:
  // Takes the keys from `from` on that `wanted` is true of; they lie together.
  template <class Wanted>
  Result<void> find(std::string_view from, Wanted wanted) {
    for (std::size_t i = index_.block_of(from); i < index_.blocks_.size() && !everywhere_; ++i) {
      if (index_.blocks_[i].first > from && !wanted(index_.blocks_[i].first)) return {};
      SLUICE_TRY_ASSIGN(const Bytes block, read_block(index_.blocks_[i]));
      Entries entries(block);
      while (!everywhere_ && entries.next()) {
        if (entries.key() < from) continue;
        if (!wanted(entries.key())) return {};
        SLUICE_TRY(take(entries.postings()));
      }
      if (!entries.ok()) return damaged();
    }
    return {};
  }

  Result<Bytes> read_block(const Block& block) {
    SLUICE_TRY_ASSIGN(const Bytes bytes, file_.bytes(block.at, block.size));
    if (bytes.size() < block.size) return damaged();
    const Bytes entries = bytes.subspan(block_crc_size);
    if (load_be<std::uint32_t>(bytes.data()) != crc32c(entries)) return damaged();
    return entries;
  }

  // A key without postings is in very many batches.
  Result<void> take(Bytes postings) {
    if (postings.empty()) everywhere_ = true;
    Reader reader(postings);
    std::uint64_t at = 0;
    while (reader.left() > 0) {
      at += reader.read_uvarint();
      if (at >= index_.segment_size_) return damaged();
      found_.push_back({at, at + 1});
    }
    if (!reader.ok()) return damaged();
    if (found_.size() > 2 * stretches_max_) shrink();
    return {};
  }

  // Many keys may be in the same batches.
  void shrink() {
    found_ = Selection(std::move(found_)).stretches();
    everywhere_ |= found_.size() > stretches_max_;
  }

  const KeyIndex& index_;
  BatchSource& file_;
  std::size_t stretches_max_;
  std::vector<Stretch> found_;
  bool everywhere_ = false;
};

Result<Selection> KeyIndex::select(const KeyHint& hint, BatchSource& file) const {
  Search search(*this, file);
  for (const std::string& key : hint.keys) SLUICE_TRY(search.find_key(cut(key)));
  for (const std::string& prefix : hint.prefixes) SLUICE_TRY(search.find_prefix(cut(prefix)));
  return search.finish();
}

}  // namespace sluice::log
