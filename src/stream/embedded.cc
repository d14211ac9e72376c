#include "stream/embedded.h"

#include <algorithm>
#include <utility>

#include "base/logger.h"
#include "stream/catalogue_record.h"
#include "stream/embedded_stream.h"

namespace sluice::stream {
namespace {

constexpr Logger logger("stream");

Result<Catalogue> read_catalogue(log::Recovery& recovered) {
  const Partition partition{catalogue_stream.id, 0};
  const auto partitions = recovered.partitions();
  if (std::ranges::find(partitions, partition) == partitions.end()) return fold_catalogue({});
  SLUICE_TRY_ASSIGN(const auto blocks, recovered.read_all(partition));
  return fold_catalogue(blocks);
}

// Partitions of no stream: a removal was cut short. Where the disk is damaged the stream may be
// what is missing, and its data is kept.
void drop_orphans(EmbeddedStream& shard, bool damaged) {
  for (const auto partition : shard.log().partitions()) {
    if (shard.knows(partition)) continue;
    const Logger::Fields fields{{"stream_id", partition.stream.value},
                                {"partition", partition.index}};
    if (damaged) {
      logger.warn("a partition of no known stream is kept: the disk is damaged", fields);
    } else {
      logger.info("a partition of a removed stream is deleted", fields);
      shard.log().drop(partition);
    }
  }
}

}  // namespace

class EmbeddedBackend::Impl {
 public:
  EmbeddedStream::Shards shards;
};

EmbeddedBackend::EmbeddedBackend() : impl_(std::make_unique<Impl>()) {}
EmbeddedBackend::~EmbeddedBackend() = default;

Result<std::unique_ptr<EmbeddedBackend>> EmbeddedBackend::open(Disk& disk,
                                                               const log::Options& options,
                                                               const std::vector<Shard>& places,
                                                               runtime::Mailboxes& mailboxes,
                                                               EmbeddedTuning tuning) {
  const auto count = static_cast<std::uint32_t>(places.size());
  SLUICE_TRY_ASSIGN(const auto recovered, log::Recovery::run(disk, options, count));
  SLUICE_TRY_ASSIGN(const auto catalogue, read_catalogue(*recovered));

  std::unique_ptr<EmbeddedBackend> backend(new EmbeddedBackend);
  auto& shards = backend->impl_->shards;
  for (const auto& [loop, metrics] : places) {
    const ShardId id{static_cast<std::uint32_t>(shards.size())};
    const log::Log::Context context{.loop = loop, .disk = &disk, .metrics = metrics};
    shards.push_back(std::make_unique<EmbeddedStream>(shards, id, count, mailboxes, tuning, context,
                                                      options, *recovered));
  }
  for (const auto& shard : shards) {
    for (const auto& [name, stream] : catalogue.all()) {
      shard->open_partitions(stream);
      shard->add_stream(stream);
    }
    drop_orphans(*shard, recovered->damage().places != 0);
  }
  return backend;
}

Stream& EmbeddedBackend::stream(ShardId shard) { return *impl_->shards[shard.value]; }

Health EmbeddedBackend::health(ShardId shard) {
  auto [writable, reason] = impl_->shards[shard.value]->log().health();
  if (writable) return {};
  return {false, fmt::format("log of shard {}: {}", shard.value, reason)};
}

void EmbeddedBackend::stop(Done<void> done) {
  struct Stopping {
    std::size_t left;
    Result<void> result;
    Done<void> done;
  };
  auto& shards = impl_->shards;
  auto state = std::make_shared<Stopping>(shards.size(), Result<void>(), std::move(done));
  for (const auto& shard : shards) {
    shards.front()->ask<void>(
        shard->shard(),
        [](EmbeddedStream& there, Done<void> answer) { there.log().stop(std::move(answer)); },
        [state](Result<void> stopped) {
          if (state->result) state->result = std::move(stopped);
          if (--state->left == 0) state->done(std::move(state->result));
        });
  }
}

}  // namespace sluice::stream
