#include "stream/embedded_stream.h"

#include <utility>

#include "base/assert.h"
#include "log/record_batch.h"
#include "stream/catalogue_record.h"
#include "stream/settings.h"

namespace sluice::stream {
namespace {

constexpr Partition catalogue_partition{StreamId{1}, 0};
constexpr std::size_t expanded_max = 64 << 20;  // of one compressed batch

log::Log::Context with_sink(log::Log::Context context, log::CommitSink& sink) {
  context.sink = &sink;
  return context;
}

log::PartitionOptions options_of(const StreamConfig& config) {
  const auto bytes = config.expire ? config.retention_bytes : -1;
  return {.retention_ms = config.expire ? config.retention_ms : -1,
          .retention_bytes = bytes < 0 ? -1 : bytes / config.partitions,
          .segment_size = config.segment_bytes,
          .segment_ms = config.segment_ms,
          .compact = config.compact,
          .delete_retention_ms = config.delete_retention_ms,
          .min_compaction_lag_ms = config.min_compaction_lag_ms,
          .key_index = !config.internal};
}

void resolve_here(log::Log& log, Partition partition, Start start, WallMs when,
                  Done<Resolved> done) {
  if (start == Start::earliest || start == Start::latest) {
    const auto bounds = log.bounds(partition);
    if (!bounds) return done(std::unexpected(bounds.error()));
    return done(Resolved{start == Start::earliest ? bounds->start : bounds->visible_end});
  }
  auto found = [done = std::move(done)](Result<log::Log::Found> answer) mutable {
    if (!answer) return done(std::unexpected(std::move(answer.error())));
    done(Resolved{answer->offset, answer->timestamp});
  };
  if (start == Start::at_time) return log.find_time(partition, when, std::move(found));
  log.find_max_time(partition, std::move(found));
}

void read_here(EmbeddedStream& owner, Partition partition, Offset from, std::size_t bytes_max,
               Want want, KeyHintRef hint, Done<ReadAnswer> done) {
  if (want == Want::batches)
    return owner.log().read(partition, from, bytes_max, std::move(hint), std::move(done));
  owner.log().read(partition, from, bytes_max, std::move(hint),
                   [&owner, done = std::move(done)](Result<ReadAnswer> answer) mutable {
                     if (answer) {
                       // Blocks are made as changeable ones, and only their owner places records.
                       for (const auto& block : answer->blocks) {
                         owner.index(const_cast<Block&>(*block));
                       }
                     }
                     done(std::move(answer));
                   });
}

}  // namespace

EmbeddedStream::EmbeddedStream(const Shards& shards, ShardId shard, std::uint32_t count,
                               runtime::Mailboxes& mailboxes, const EmbeddedTuning& tuning,
                               log::Log::Context log, const log::Options& options,
                               log::Recovery& recovered)
    : shards_(shards),
      shard_(shard),
      count_(count),
      requests_max_(tuning.requests),
      loop_(*log.loop),
      links_(mailboxes, shard),
      requests_(count, 0),
      appends_(*this, count, tuning.append_credit),
      tails_(*this, count, tuning.tail_credit, *log.metrics),
      waits_(*this),
      writer_(*this, tuning.ids),
      log_(with_sink(log, *this), options, shard, recovered) {}

ShardId EmbeddedStream::owner_of(Partition partition) const {
  return log::Recovery::owner(partition, count_);
}

bool EmbeddedStream::knows(Partition partition) const {
  const auto* const stream = catalogue_.find(partition.stream);
  return stream != nullptr && partition.index < stream->config.partitions;
}

// --- catalogue

void EmbeddedStream::create(std::string name, StreamConfig config, Done<StreamInfo> done) {
  if (auto valid = validate_stream_name(name); !valid) {
    return done(std::unexpected(std::move(valid.error())));
  }
  if (auto valid = validate_config(config); !valid) {
    return done(std::unexpected(valid.error().context(fmt::format("stream \"{}\"", name))));
  }
  ask<StreamInfo>(
      owner_of(catalogue_partition),
      [name = std::move(name), config](EmbeddedStream& owner, Done<StreamInfo> answer) mutable {
        owner.writer_.create(std::move(name), config, std::move(answer));
      },
      std::move(done));
}

void EmbeddedStream::alter(std::string name, StreamConfig config, Done<StreamInfo> done) {
  if (auto valid = validate_config(config); !valid) {
    return done(std::unexpected(valid.error().context(fmt::format("stream \"{}\"", name))));
  }
  ask<StreamInfo>(
      owner_of(catalogue_partition),
      [name = std::move(name), config](EmbeddedStream& owner, Done<StreamInfo> answer) mutable {
        owner.writer_.alter(std::move(name), config, std::move(answer));
      },
      std::move(done));
}

void EmbeddedStream::remove(std::string name, Done<void> done) {
  ask<StreamInfo>(
      owner_of(catalogue_partition),
      [name = std::move(name)](EmbeddedStream& owner, Done<StreamInfo> answer) mutable {
        owner.writer_.remove(std::move(name), std::move(answer));
      },
      [done = std::move(done)](Result<StreamInfo> removed) mutable {
        if (!removed) return done(std::unexpected(std::move(removed.error())));
        done({});
      });
}

void EmbeddedStream::add_stream(const StreamInfo& stream) {
  catalogue_.add(stream);
  for (auto* const sink : sinks_) sink->on_stream_added(stream);
}

void EmbeddedStream::change_stream(const StreamInfo& now) {
  const StreamInfo before = *catalogue_.find(now.name);
  catalogue_.change(now.name, now.config);
  for (auto* const sink : sinks_) sink->on_stream_changed(before, now);
}

void EmbeddedStream::remove_stream(const StreamInfo& stream) {
  catalogue_.remove(stream.name);
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) tails_.forget({stream.id, i});
  for (auto* const sink : sinks_) sink->on_stream_removed(stream);
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) waits_.forget({stream.id, i});
}

void EmbeddedStream::open_partitions(const StreamInfo& stream) {
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    const Partition partition{stream.id, i};
    if (owner_of(partition) == shard_) log_.open(partition, options_of(stream.config));
  }
}

void EmbeddedStream::drop_partitions(const StreamInfo& stream) {
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    const Partition partition{stream.id, i};
    if (owner_of(partition) != shard_) continue;
    tails_.drop(partition);
    waits_.drop(partition);
    folds_.erase(partition);
    log_.drop(partition);
  }
}

// --- partitions

void EmbeddedStream::append(Partition partition, std::shared_ptr<Block> block,
                            Done<Appended> done) {
  const auto* const stream = catalogue_.find(partition.stream);
  if (stream == nullptr || partition.index >= stream->config.partitions) {
    return done(fail(Errc::not_found, "there is no such stream, or it has no partition {}",
                     partition.index));
  }
  if (std::cmp_greater(block->bytes().size(), stream->config.max_message_bytes)) {
    return done(fail(Errc::too_large, "a batch of {} bytes for stream \"{}\": at most {}",
                     block->bytes().size(), stream->name, stream->config.max_message_bytes));
  }
  if (stream->config.compact && log::has_record_without_key(*block)) {
    return done(fail(Errc::invalid, "a record without a key for stream \"{}\", which is compacted",
                     stream->name));
  }
  const auto owner = owner_of(partition);
  if (owner == shard_) return log_.append(partition, std::move(block), std::move(done));
  appends_.append(owner, partition, std::move(block), std::move(done));
}

bool EmbeddedStream::has_room(Partition partition) const {
  const auto owner = owner_of(partition);
  return owner == shard_ ? log_.has_room() : appends_.has_room(owner);
}

void EmbeddedStream::on_room(Partition partition, Task callback) {
  const auto owner = owner_of(partition);
  if (owner == shard_) return log_.on_room(std::move(callback));
  appends_.on_room(owner, std::move(callback));
}

void EmbeddedStream::bounds(Partition partition, Done<Bounds> done) {
  ask<Bounds>(
      owner_of(partition),
      [partition](EmbeddedStream& owner, Done<Bounds> answer) {
        answer(owner.log_.bounds(partition));
      },
      std::move(done));
}

void EmbeddedStream::resolve(Partition partition, Start start, WallMs when, Done<Resolved> done) {
  ask<Resolved>(
      owner_of(partition),
      [partition, start, when](EmbeddedStream& owner, Done<Resolved> answer) {
        resolve_here(owner.log_, partition, start, when, std::move(answer));
      },
      std::move(done));
}

void EmbeddedStream::resolve_newest(Partition partition, std::uint64_t bytes, Done<Offset> done) {
  ask<Offset>(
      owner_of(partition),
      [partition, bytes](EmbeddedStream& owner, Done<Offset> answer) {
        owner.log_.find_newest(partition, bytes, std::move(answer));
      },
      std::move(done));
}

void EmbeddedStream::read(Partition partition, Offset from, std::size_t bytes_max, Want want,
                          KeyHintRef hint, Done<ReadAnswer> done) {
  ask<ReadAnswer>(
      owner_of(partition),
      [partition, from, bytes_max, want, hint = std::move(hint)](EmbeddedStream& owner,
                                                                 Done<ReadAnswer> answer) mutable {
        read_here(owner, partition, from, bytes_max, want, std::move(hint), std::move(answer));
      },
      std::move(done));
}

void EmbeddedStream::tail(Partition partition, TailSink& sink, Done<Offset> done) {
  tails_.tail(partition, sink, std::move(done));
}

void EmbeddedStream::delete_records(Partition partition, Offset before, Done<Offset> done) {
  ask<Offset>(
      owner_of(partition),
      [partition, before](EmbeddedStream& owner, Done<Offset> answer) {
        owner.log_.delete_records(partition, before, std::move(answer));
      },
      std::move(done));
}

void EmbeddedStream::hold(Partition partition, Offset from) {
  SLUICE_ASSERT(owner_of(partition) == shard_);
  log_.hold(partition, from);
}

void EmbeddedStream::fold(Partition partition, CommitSink& sink, Done<Offset> done) {
  SLUICE_ASSERT(owner_of(partition) == shard_);
  const auto bounds = log_.bounds(partition);
  if (!bounds) return done(std::unexpected(bounds.error()));
  folds_.insert_or_assign(partition, Fold{&sink, bounds->visible_end});
  done(bounds->visible_end);
}

WaitId EmbeddedStream::wait_beyond(Partition partition, Offset next, Task callback) {
  return waits_.wait_beyond(partition, next, std::move(callback));
}

void EmbeddedStream::on_commit(Partition partition, const std::shared_ptr<Block>& block) {
  if (const auto fold = folds_.find(partition);
      fold != folds_.end() && block->from() >= fold->second.next)
    fold->second.sink->on_commit(partition, block);
  tails_.on_commit(partition, block);
  waits_.on_commit(partition, block->until());
}

void EmbeddedStream::index(Block& block) {
  // What cannot be indexed has no records(): stored and served to Kafka clients as it is
  // (log/block.h).
  static_cast<void>(block.index_records(expanded_max));
}

}  // namespace sluice::stream
