#include "log/key_index_builder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "log/key_filter.h"
#include "log/record_batch.h"

namespace sluice::log {
namespace {

namespace layout = key_index_layout;

constexpr std::uint32_t no_key = std::numeric_limits<std::uint32_t>::max();
// A key in more batches is taken for one that is in all of them.
constexpr std::uint16_t postings_max = 16'384;
// Clients choose the keys and so their hashes: whoever makes them collide gets no index, and no
// more of our time.
constexpr std::uint32_t probes_max = 128;
constexpr std::size_t table_size_min = 16;

// Keys lie far apart, one in each record: each would be waited for.
constexpr std::size_t prefetch_ahead = 6;

// The first eight bytes as a number that is in the same order.
std::uint64_t order_of(std::string_view text) {
  std::byte bytes[8] = {};
  std::memcpy(bytes, text.data(), std::min(text.size(), sizeof bytes));
  return load_be<std::uint64_t>(bytes);
}

std::size_t shared_size(std::string_view a, std::string_view b) {
  const auto differing = std::ranges::mismatch(a, b);
  return static_cast<std::size_t>(differing.in1 - a.begin());
}

// Lays down an index file, key by key in order.
class FileWriter {
 public:
  explicit FileWriter(std::size_t keys) : filter_(key_filter::size_for(keys), std::byte{}) {}

  // No positions: it is in very many batches.
  void add(std::string_view key, std::span<const std::uint32_t> positions) {
    if (blocks_.size() == block_at_) {
      first_ = key;
      previous_ = {};
      Writer(blocks_).write<std::uint32_t>(0);  // the checksum, when the block ends
    }
    postings_.clear();
    Writer deltas(postings_);
    std::uint32_t before = 0;
    for (const std::uint32_t at : positions) deltas.write_uvarint(at - std::exchange(before, at));
    const std::size_t shared = shared_size(previous_, key);
    Writer writer(blocks_);
    writer.write_uvarint(shared);
    write_sized(writer, as_bytes(key.substr(shared)));
    write_sized(writer, postings_);
    key_filter::add(filter_, as_bytes(key));
    previous_ = key;
    if (blocks_.size() - block_at_ >= layout::block_size) end_block();
  }

  KeyIndexBuilder::File finish(const Segment& segment, std::span<const Stretch> unknown) {
    if (blocks_.size() > block_at_) end_block();
    Buffer head = encode_head(segment, unknown);
    return {std::move(head), std::move(blocks_)};
  }

 private:
  static void write_sized(Writer& writer, Bytes bytes) {
    writer.write_uvarint(bytes.size());
    writer.write_bytes(bytes);
  }

  void end_block() {
    const std::size_t entries_at = block_at_ + sizeof(std::uint32_t);
    store_be<std::uint32_t>(blocks_.data() + block_at_, crc32c(Bytes(blocks_).subspan(entries_at)));
    Writer writer(directory_);
    writer.write_uvarint(blocks_.size() - block_at_);
    write_sized(writer, as_bytes(first_));
    ++block_count_;
    block_at_ = blocks_.size();
  }

  Buffer encode_head(const Segment& segment, std::span<const Stretch> unknown) {
    Buffer head;
    Writer writer(head);
    writer.write<std::uint32_t>(layout::magic);
    writer.write<std::uint32_t>(0);  // the checksum, below
    writer.write<std::uint32_t>(layout::version);
    writer.write<std::uint32_t>(0);  // the size of the head, below
    writer.write<std::int64_t>(segment.base.value);
    writer.write<std::uint64_t>(segment.size);
    writer.write<std::uint32_t>(segment.generation);
    writer.write<std::uint32_t>(static_cast<std::uint32_t>(filter_.size()));
    writer.write<std::uint32_t>(block_count_);
    writer.write<std::uint32_t>(static_cast<std::uint32_t>(unknown.size()));
    writer.write_bytes(filter_);
    std::uint64_t before = 0;
    for (const Stretch& stretch : unknown) {
      writer.write_uvarint(stretch.at - before);
      writer.write_uvarint(stretch.until - stretch.at);
      before = stretch.until;
    }
    writer.write_bytes(directory_);
    writer.patch<std::uint32_t>(layout::head_size_at, static_cast<std::uint32_t>(head.size()));
    constexpr std::size_t covered_at = layout::crc_at + sizeof(std::uint32_t);
    writer.patch<std::uint32_t>(layout::crc_at, crc32c(Bytes(head).subspan(covered_at)));
    return head;
  }

  Buffer filter_;
  Buffer blocks_;
  Buffer directory_;
  Buffer postings_;  // of one key; reused
  std::uint32_t block_count_ = 0;
  std::size_t block_at_ = 0;   // of the block that is being made
  std::string_view first_;     // its first key
  std::string_view previous_;  // its last key so far
};

}  // namespace

KeyIndexBuilder::KeyIndexBuilder(std::uint64_t from) : until_(from) { mark_unknown(0, from); }

void KeyIndexBuilder::add(const Block& block) {
  const std::uint64_t at = until_;
  until_ += block.bytes().size();
  const auto header = decode_batch_header(block.bytes());
  const bool has_records = block.indexed() && !block.records().empty();
  if (!header || header->control() || !has_records || until_ > no_key)
    return mark_unknown(at, until_);

  batches_.push_back({static_cast<std::uint32_t>(at), 0});
  if (!note_all(block.content(), block.records())) mark_unknown(at, until_);
  batches_.back().postings_end = static_cast<std::uint32_t>(postings_.size());
}

void KeyIndexBuilder::add_unknown(std::uint64_t size) {
  mark_unknown(until_, until_ + size);
  until_ += size;
}

void KeyIndexBuilder::mark_unknown(std::uint64_t at, std::uint64_t until) {
  if (at == until) return;
  unknown_bytes_ += until - at;
  if (!unknown_.empty() && unknown_.back().until == at) {
    unknown_.back().until = until;
  } else {
    unknown_.push_back({at, until});
  }
}

std::uint64_t KeyIndexBuilder::memory() const {
  return sizeof *this + texts_.capacity() + keys_.capacity() * sizeof(Key) +
         (table_.capacity() + postings_.capacity()) * sizeof(std::uint32_t) +
         batches_.capacity() * sizeof(Batch) + unknown_.capacity() * sizeof(Stretch);
}

// Of runs of one key the first. False: not all can be said.
bool KeyIndexBuilder::note_all(Bytes content, std::span<const Record> records) {
  bool noted = true;
  std::string_view previous;
  std::uint32_t previous_hash = 0;
  bool has_previous = false;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& record = records[i];
    const Record& ahead = records[std::min(i + prefetch_ahead, records.size() - 1)];
    if (ahead.key_at != Record::none) __builtin_prefetch(content.data() + ahead.key_at);
    if (record.key_at == Record::none) continue;
    const Bytes key = content.subspan(record.key_at, record.key_size);
    const bool is_same =
        has_previous && record.key_hash == previous_hash && as_text(key) == previous;
    if (!is_same) noted = note(key, record.key_hash) && noted;
    previous = as_text(key);
    previous_hash = record.key_hash;
    has_previous = true;
  }
  return noted;
}

// The batch that is being added has a record of this key. False: it can't be said.
bool KeyIndexBuilder::note(Bytes key, std::uint32_t hash) {
  if (key.size() >= KeyIndex::key_size_max) {
    key = key.first(KeyIndex::key_size_max);
    hash = crc32c(key);  // that of whole keys tells apart what is the same when it is cut
  }
  const auto number = find_or_add(key, hash);
  if (!number) return false;
  Key& found = keys_[*number];
  const auto batch = static_cast<std::uint32_t>(batches_.size());
  if (std::exchange(found.last_batch, batch) == batch || found.postings > postings_max) return true;
  if (++found.postings <= postings_max) postings_.push_back(*number);
  return true;
}

std::optional<std::uint32_t> KeyIndexBuilder::find_or_add(Bytes key, std::uint32_t hash) {
  if (2 * (keys_.size() + 1) > table_.size()) grow_table();
  if (full_) return std::nullopt;
  const std::size_t mask = table_.size() - 1;
  for (std::uint32_t i = 0; i < probes_max; ++i) {
    std::uint32_t& place = table_[(hash + i) & mask];
    if (place == 0) {
      if (texts_.size() + key.size() > no_key) return std::nullopt;
      keys_.push_back({.at = static_cast<std::uint32_t>(texts_.size()),
                       .hash = hash,
                       .size = static_cast<std::uint16_t>(key.size())});
      append(texts_, key);
      place = static_cast<std::uint32_t>(keys_.size());
      return place - 1;
    }
    const Key& known = keys_[place - 1];
    if (known.hash == hash && text(known) == as_text(key)) return place - 1;
  }
  return std::nullopt;
}

void KeyIndexBuilder::grow_table() {
  table_.assign(std::max(table_size_min, 2 * table_.size()), 0);
  const std::size_t mask = table_.size() - 1;
  for (std::uint32_t number = 0; number < keys_.size(); ++number) {
    std::size_t place = keys_[number].hash & mask;
    for (std::uint32_t i = 1; i < probes_max && table_[place] != 0; ++i) place = (place + 1) & mask;
    // One that has no place would come again as another key.
    full_ = full_ || table_[place] != 0;
    table_[place] = number + 1;
  }
}

std::string_view KeyIndexBuilder::text(const Key& key) const {
  return as_text(Bytes(texts_).subspan(key.at, key.size));
}

std::vector<std::uint32_t> KeyIndexBuilder::sorted_keys() const {
  std::size_t shared = keys_.empty() ? 0 : KeyIndex::key_size_max;  // by all keys
  for (const Key& key : keys_)
    shared = std::min(shared, shared_size(text(key).substr(0, shared), text(keys_.front())));
  struct Place {
    std::uint64_t order;  // behind what all share: nearly always enough
    std::uint32_t number;
  };
  std::vector<Place> places;
  places.reserve(keys_.size());
  for (std::uint32_t number = 0; number < keys_.size(); ++number)
    places.push_back({order_of(text(keys_[number]).substr(shared)), number});
  std::ranges::sort(places, [this](const Place& a, const Place& b) {
    if (a.order != b.order) return a.order < b.order;
    return text(keys_[a.number]) < text(keys_[b.number]);
  });
  std::vector<std::uint32_t> numbers;
  numbers.reserve(places.size());
  for (const Place& place : places) numbers.push_back(place.number);
  return numbers;
}

// The positions of all keys' batches, key by key; `ends_by_key` says where each key's end.
std::vector<std::uint32_t> KeyIndexBuilder::positions_by_key(
    std::vector<std::uint32_t>& ends_by_key) const {
  ends_by_key.assign(keys_.size() + 1, 0);
  for (const std::uint32_t number : postings_) ++ends_by_key[number + 1];
  for (std::size_t i = 1; i < ends_by_key.size(); ++i) ends_by_key[i] += ends_by_key[i - 1];
  std::vector<std::uint32_t> positions(postings_.size());
  std::size_t at = 0;
  for (const Batch& batch : batches_)
    for (; at < batch.postings_end; ++at) positions[ends_by_key[postings_[at]]++] = batch.at;
  return positions;  // each key's place has moved on to its end
}

KeyIndexBuilder::File KeyIndexBuilder::encode(const Segment& segment) const {
  SLUICE_ASSERT(segment.size == until_);
  std::vector<std::uint32_t> ends;
  const auto positions = positions_by_key(ends);
  FileWriter writer(keys_.size());
  for (const std::uint32_t number : sorted_keys()) {
    const std::uint32_t begin = number == 0 ? 0 : ends[number - 1];
    const bool is_everywhere = keys_[number].postings > postings_max;
    writer.add(text(keys_[number]),
               std::span(positions).subspan(begin, is_everywhere ? 0 : ends[number] - begin));
  }
  return writer.finish(segment, unknown_);
}

}  // namespace sluice::log
