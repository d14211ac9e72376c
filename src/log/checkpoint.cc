#include "log/checkpoint.h"

#include "base/assert.h"
#include "base/hash.h"

namespace sluice::log {
namespace {

constexpr std::uint32_t magic = 0x534c4350;  // "SLCP"
constexpr std::uint16_t version = 2;
constexpr std::uint16_t version_before_compaction = 1;
constexpr std::size_t crc_at = 4;  // covers all behind itself
constexpr std::size_t count_at = 8;

std::uint32_t checksum(Bytes bytes) {
  return crc32c(bytes.subspan(crc_at + sizeof(std::uint32_t)));
}

std::unique_ptr<CompactionState> read_compaction(Reader& reader) {
  auto compaction = std::make_unique<CompactionState>();
  compaction->until.value = reader.read<std::int64_t>();
  const auto passes = reader.read<std::uint8_t>();
  for (std::uint8_t i = 0; i < passes && reader.ok(); ++i) {
    CompactionState::Pass& pass = compaction->passes.emplace_back();
    pass.until.value = reader.read<std::int64_t>();
    pass.at = reader.read<std::int64_t>();
    pass.tombstones = reader.read<std::uint64_t>();
  }
  return compaction;
}

void write_compaction(Writer& writer, const CompactionState& compaction) {
  writer.write<std::int64_t>(compaction.until.value);
  SLUICE_ASSERT(compaction.passes.size() <= 0xff);
  writer.write<std::uint8_t>(static_cast<std::uint8_t>(compaction.passes.size()));
  for (const CompactionState::Pass& pass : compaction.passes) {
    writer.write<std::int64_t>(pass.until.value);
    writer.write<std::int64_t>(pass.at);
    writer.write<std::uint64_t>(pass.tombstones);
  }
}

Result<PartitionState> read_partition(Reader& reader, bool compactable) {
  PartitionState state;
  state.id.stream.value = reader.read<std::uint64_t>();
  state.id.index = reader.read<std::uint32_t>();
  state.start.value = reader.read<std::int64_t>();
  state.end.value = reader.read<std::int64_t>();
  state.reserved.value = reader.read<std::int64_t>();
  if (compactable) state.active_since = reader.read<std::int64_t>();
  const auto segments = reader.read<std::uint32_t>();
  for (std::uint32_t i = 0; i < segments && reader.ok(); ++i) {
    Segment& segment = state.segments.emplace_back();
    segment.base.value = reader.read<std::int64_t>();
    segment.size = reader.read<std::uint64_t>();
    segment.max_timestamp = reader.read<std::int64_t>();
    if (compactable) segment.generation = reader.read<std::uint32_t>();
  }
  if (reader.read<std::uint8_t>() != 0) {
    SLUICE_TRY_ASSIGN(ProducerTable table, ProducerTable::decode(reader));
    state.producers = std::make_unique<ProducerTable>(std::move(table));
  }
  if (compactable && reader.read<std::uint8_t>() != 0) state.compaction = read_compaction(reader);
  if (!reader.ok()) return fail(Errc::corrupt, "checkpoint ends within a partition");
  return state;
}

}  // namespace

CheckpointEncoder::CheckpointEncoder(const Checkpoint& checkpoint) {
  writer_.write<std::uint32_t>(magic);
  writer_.write<std::uint32_t>(0);  // checksum and count: finish()
  writer_.write<std::uint32_t>(0);
  writer_.write<std::uint16_t>(version);
  writer_.write<std::uint8_t>(checkpoint.clean ? 1 : 0);
  writer_.write<std::uint8_t>(static_cast<std::uint8_t>(checkpoint.boot_id.size()));
  writer_.write_text(checkpoint.boot_id);
  writer_.write<std::uint64_t>(checkpoint.run);
  writer_.write<std::uint32_t>(checkpoint.shard);
  writer_.write<std::uint32_t>(checkpoint.shards);
  writer_.write<std::uint64_t>(checkpoint.position.salt);
  writer_.write<std::uint64_t>(checkpoint.position.at);
  writer_.write<std::uint64_t>(checkpoint.position.sequence);
}

void CheckpointEncoder::add(const PartitionState& state, Offset end) {
  writer_.write<std::uint64_t>(state.id.stream.value);
  writer_.write<std::uint32_t>(state.id.index);
  writer_.write<std::int64_t>(state.start.value);
  writer_.write<std::int64_t>(end.value);
  writer_.write<std::int64_t>(state.reserved.value);
  writer_.write<std::int64_t>(state.active_since);
  writer_.write<std::uint32_t>(static_cast<std::uint32_t>(state.segments.size()));
  for (const Segment& segment : state.segments) {
    writer_.write<std::int64_t>(segment.base.value);
    writer_.write<std::uint64_t>(segment.size);
    writer_.write<std::int64_t>(segment.max_timestamp);
    writer_.write<std::uint32_t>(segment.generation);
  }
  const bool has_producers = state.producers && !state.producers->empty();
  writer_.write<std::uint8_t>(has_producers ? 1 : 0);
  if (has_producers) state.producers->encode(writer_, end);
  writer_.write<std::uint8_t>(state.compaction ? 1 : 0);
  if (state.compaction) write_compaction(writer_, *state.compaction);
  ++count_;
}

Buffer CheckpointEncoder::finish() {
  writer_.patch<std::uint32_t>(count_at, count_);
  writer_.patch<std::uint32_t>(crc_at, checksum(bytes_));
  return std::move(bytes_);
}

Result<DecodedCheckpoint> decode_checkpoint(Bytes bytes) {
  Reader reader(bytes);
  const auto found_magic = reader.read<std::uint32_t>();
  const auto crc = reader.read<std::uint32_t>();
  const auto count = reader.read<std::uint32_t>();
  const auto found_version = reader.read<std::uint16_t>();
  if (!reader.ok() || found_magic != magic) return fail(Errc::corrupt, "not a checkpoint");
  if (crc != checksum(bytes)) return fail(Errc::corrupt, "checkpoint has a wrong checksum");
  if (found_version != version && found_version != version_before_compaction)
    return fail(Errc::unsupported, "checkpoint has version {}", found_version);
  DecodedCheckpoint decoded;
  Checkpoint& checkpoint = decoded.checkpoint;
  checkpoint.clean = reader.read<std::uint8_t>() != 0;
  checkpoint.boot_id = as_text(reader.take(reader.read<std::uint8_t>()));
  checkpoint.run = reader.read<std::uint64_t>();
  checkpoint.shard = reader.read<std::uint32_t>();
  checkpoint.shards = reader.read<std::uint32_t>();
  checkpoint.position.salt = reader.read<std::uint64_t>();
  checkpoint.position.at = reader.read<std::uint64_t>();
  checkpoint.position.sequence = reader.read<std::uint64_t>();
  for (std::uint32_t i = 0; i < count; ++i) {
    SLUICE_TRY_ASSIGN(PartitionState state, read_partition(reader, found_version == version));
    decoded.partitions.push_back(std::move(state));
  }
  if (!reader.ok() || reader.left() != 0 || checkpoint.shards == 0)
    return fail(Errc::corrupt, "checkpoint has a wrong length");
  return decoded;
}

}  // namespace sluice::log
