#include "stream/catalogue_record.h"

#include "base/bytes.h"
#include "log/record_batch.h"
#include "stream/settings.h"

namespace sluice::stream {
namespace {

constexpr std::uint8_t version = 2;
constexpr std::uint8_t version_before_compaction = 1;
constexpr std::uint8_t flag_wildcard = 0x01;
constexpr std::uint8_t flag_internal = 0x02;
constexpr std::uint8_t flag_compact = 0x04;              // since version 2
constexpr std::uint8_t flag_expire = 0x08;               // since version 2
constexpr std::size_t catalogue_expanded_max = 1 << 20;  // a batch of ours holds one record

Buffer encode_value(const StreamInfo& stream) {
  Buffer value;
  Writer writer(value);
  const auto& config = stream.config;
  writer.write<std::uint8_t>(version);
  writer.write<std::uint64_t>(stream.id.value);
  writer.write<std::uint32_t>(config.partitions);
  writer.write<std::int64_t>(config.retention_ms);
  writer.write<std::int64_t>(config.retention_bytes);
  writer.write<std::int64_t>(config.segment_bytes);
  writer.write<std::int64_t>(config.max_message_bytes);
  writer.write<std::int64_t>(config.segment_ms);
  writer.write<std::int64_t>(config.delete_retention_ms);
  writer.write<std::int64_t>(config.min_compaction_lag_ms);
  writer.write<std::uint8_t>(
      (config.wildcard ? flag_wildcard : 0) | (config.internal ? flag_internal : 0) |
      (config.compact ? flag_compact : 0) | (config.expire ? flag_expire : 0));
  return value;
}

std::shared_ptr<Block> encode(std::string_view name, Bytes value, bool null_value, WallMs now) {
  log::BatchBuilder builder;
  builder.add(now,
              {.key = as_bytes(name), .value = value, .headers = {}, .null_value = null_value});
  return builder.finish();
}

Result<void> fold_record(const Block& block, const log::Record& record, Catalogue& catalogue) {
  if (record.key_at == log::Record::none) return fail(Errc::malformed, "a record without a key");
  const auto name = as_text(block.key(record));
  if (record.value_at == log::Record::none) {
    catalogue.remove(name);
    return {};
  }
  SLUICE_TRY_ASSIGN(auto stream, decode_stream(name, block.value(record)));
  const auto* const known = catalogue.find(name);
  if (known != nullptr && known->id == stream.id) {
    catalogue.change(name, stream.config);
    return {};
  }
  if (known != nullptr || catalogue.find(stream.id) != nullptr) {
    return fail(Errc::malformed, "stream \"{}\" is created a second time", name);
  }
  catalogue.add(std::move(stream));
  return {};
}

Result<void> fold_block(const BlockRef& stored, Catalogue& catalogue) {
  // Indexing writes into the block, and recovery's own may be shared with the tail cache.
  const Block block(stored->bytes(), stored);
  SLUICE_TRY(block.index_records(catalogue_expanded_max));
  for (const auto& record : block.records()) {
    if (auto folded = fold_record(block, record, catalogue); !folded) {
      const auto offset = block.from().value + record.offset_delta;
      return std::unexpected(
          folded.error().context(fmt::format("catalogue, record at offset {}", offset)));
    }
  }
  return {};
}

}  // namespace

const StreamInfo catalogue_stream{"__catalogue", StreamId{1},
                                  StreamConfig{.partitions = 1,
                                               .segment_bytes = 1 << 16,
                                               .compact = true,
                                               .expire = false,
                                               .internal = true}};

std::shared_ptr<Block> encode_stream(const StreamInfo& stream, WallMs now) {
  return encode(stream.name, encode_value(stream), false, now);
}

std::shared_ptr<Block> encode_removed(std::string_view name, WallMs now) {
  return encode(name, {}, true, now);
}

Result<StreamInfo> decode_stream(std::string_view name, Bytes value) {
  Reader reader(value);
  const auto found_version = reader.read<std::uint8_t>();
  if (reader.ok() && found_version != version && found_version != version_before_compaction) {
    return fail(Errc::unsupported, "stream \"{}\" has format version {}, this program knows {}",
                name, found_version, version);
  }
  StreamInfo stream{.name = std::string(name), .id = {}, .config = {}};
  auto& config = stream.config;
  stream.id.value = reader.read<std::uint64_t>();
  config.partitions = reader.read<std::uint32_t>();
  config.retention_ms = reader.read<std::int64_t>();
  config.retention_bytes = reader.read<std::int64_t>();
  config.segment_bytes = reader.read<std::int64_t>();
  config.max_message_bytes = reader.read<std::int64_t>();
  if (found_version == version) {
    config.segment_ms = reader.read<std::int64_t>();
    config.delete_retention_ms = reader.read<std::int64_t>();
    config.min_compaction_lag_ms = reader.read<std::int64_t>();
  }
  const auto flags = reader.read<std::uint8_t>();
  config.wildcard = (flags & flag_wildcard) != 0;
  config.internal = (flags & flag_internal) != 0;
  if (found_version == version) {
    config.compact = (flags & flag_compact) != 0;
    config.expire = (flags & flag_expire) != 0;
  }
  if (!reader.ok() || reader.left() != 0 || stream.id.value <= catalogue_stream.id.value) {
    return fail(Errc::malformed, "stream \"{}\" is described by {} bytes that make no sense", name,
                value.size());
  }
  SLUICE_TRY(validate_stream_name(name));
  SLUICE_TRY(validate_config(config));
  return stream;
}

Result<Catalogue> fold_catalogue(std::span<const BlockRef> blocks) {
  Catalogue catalogue;
  catalogue.add(catalogue_stream);
  for (const auto& block : blocks) SLUICE_TRY(fold_block(block, catalogue));
  return catalogue;
}

}  // namespace sluice::stream
