#include "log/batch_compaction.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "log/batch_layout.h"
#include "log/block.h"
#include "log/compression.h"
#include "log/record_batch.h"

namespace sluice::log {
namespace {

constexpr std::size_t expanded_max = 64 << 20;  // of a compressed batch, in bytes

// The records of a batch as they lie there, one behind the other.
class RecordBytes {
 public:
  RecordBytes(Bytes content, std::size_t first) : rest_(content.subspan(first)) {}

  struct One {
    Bytes bytes;                       // its length field included
    std::int64_t timestamp_delta = 0;  // unlike Record's own, never cut short
  };
  // Precondition: the batch has been indexed, so that all lengths fit.
  One next() {
    Reader reader(rest_);
    const auto size = static_cast<std::size_t>(reader.read_varint());
    const std::size_t whole = reader.position() + size;
    reader.skip(1);  // attributes
    const One one{rest_.first(whole), reader.read_varint()};
    rest_ = rest_.subspan(whole);
    return one;
  }

 private:
  Bytes rest_;
};

bool keeps(const Block& block, const Record& record, const KeepRule& rule) {
  if (record.key_at == Record::none) return false;
  const Offset offset = block.from() + record.offset_delta;
  if (record.value_at == Record::none && offset < rule.tombstones_below) return false;
  return !rule.newest.has_newer(block.key(record), offset);
}

// The batch with the chosen records alone; empty when they cannot be compressed again.
Buffer rebuild(const Block& block, const BatchHeader& header, const std::vector<bool>& kept) {
  const auto codec = static_cast<Compression>(header.compression_bits());
  RecordBytes records(block.content(), codec == Compression::none ? batch_header_size : 0);
  Buffer chosen;
  std::int64_t max_delta = std::numeric_limits<std::int64_t>::min();
  for (const bool keep : kept) {
    const auto [bytes, delta] = records.next();
    if (!keep) continue;
    append(chosen, bytes);
    max_delta = std::max(max_delta, delta);
  }
  const auto packed = compress(codec, chosen);
  if (!packed) return {};

  Buffer out;
  append(out, block.bytes().first(batch_header_size));
  append(out, *packed);
  store_be<std::int32_t>(out.data() + layout::batch_length,
                         static_cast<std::int32_t>(out.size() - batch_length_offset));
  store_be<std::int32_t>(out.data() + layout::record_count,
                         static_cast<std::int32_t>(std::ranges::count(kept, true)));
  // With append times the field holds the time of all records.
  if (!header.log_append_time())
    store_be<std::int64_t>(out.data() + layout::max_timestamp, header.base_timestamp + max_delta);
  seal_batch(out);
  return out;
}

}  // namespace

CompactedBatch compact_batch(Bytes batch, const KeepRule& rule) {
  const auto header = decode_batch_header(batch);
  if (!header || header->control()) return {};
  const Block block(Buffer(batch.begin(), batch.end()));
  if (!block.index_records(expanded_max)) return {};

  CompactedBatch out;
  std::vector<bool> kept;
  kept.reserve(block.records().size());
  for (const Record& record : block.records()) {
    kept.push_back(keeps(block, record, rule));
    if (kept.back() && record.value_at == Record::none) ++out.tombstones;
    if (record.key_at == Record::none) ++out.keyless;
  }
  const auto count = std::ranges::count(kept, true);
  if (count == 0) {
    out.kept = CompactedBatch::Kept::none;
  } else if (std::cmp_less(count, kept.size())) {
    out.bytes = rebuild(block, *header, kept);
    if (out.bytes.empty()) return {};
    out.kept = CompactedBatch::Kept::some;
  }
  return out;
}

Offset map_keys(Bytes batch, Offset from, KeyMap& newest) {
  const Block block(Buffer(batch.begin(), batch.end()));
  const auto header = decode_batch_header(batch);
  if (!header || header->control() || !block.index_records(expanded_max)) return block.until();
  for (const Record& record : block.records()) {
    const Offset offset = block.from() + record.offset_delta;
    if (offset < from || record.key_at == Record::none) continue;
    if (!newest.put(block.key(record), offset)) return offset;
  }
  return block.until();
}

}  // namespace sluice::log
