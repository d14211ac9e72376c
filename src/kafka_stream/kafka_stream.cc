#include "kafka_stream/kafka_stream.h"

#include <limits>
#include <utility>

#include "base/assert.h"
#include "kafka_stream/admin.h"
#include "kafka_stream/names.h"
#include "stream/settings.h"

namespace sluice::kafka_stream {
namespace {

// Of a compressed batch that is appended; none of the hub's own are.
constexpr std::size_t expanded_max = 64 << 20;
// An answer to an append that takes longer is worth telling.
constexpr auto slow_answer = std::chrono::seconds(5);
constexpr auto retry_delay = std::chrono::milliseconds(100);
constexpr std::int64_t beyond_all = std::numeric_limits<std::int64_t>::max();

std::unexpected<Error> not_found() {
  return fail(Errc::not_found, "there is no such stream or partition");
}

}  // namespace

KafkaStream::KafkaStream(const Shards& shards, Cluster& cluster, ShardId shard, std::uint32_t count,
                         runtime::Loop& loop, Metrics& metrics)
    : shards_(shards),
      cluster_(cluster),
      shard_(shard),
      count_(count),
      loop_(loop),
      failures_(metrics.counter("sluice_cluster_append_failures_total",
                                "Batches that the Kafka cluster did not take")),
      streams_known_(
          metrics.gauge("sluice_cluster_streams",
                        "Topics of the Kafka cluster that are streams here, times shards")),
      follows_({&loop, cluster.readers.get(), cluster.tails.get(), &catalogue_, shard, count}) {}

template <class Work>
void KafkaStream::on(ShardId shard, Work work) {
  KafkaStream& there = *shards_[shard.value];
  if (shard == shard_) return work(there);
  there.loop_.post_from_outside([&there, work = std::move(work)]() mutable { work(there); });
}

template <class Work>
void KafkaStream::here(Partition partition, Work work) {
  if (home(partition) == shard_) return work();
  loop_.post_from_outside(std::move(work));
}

template <class T>
Done<T> KafkaStream::bring_home(Done<T> done) {
  return [this, done = std::move(done)](Result<T> result) mutable {
    loop_.post_from_outside([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  };
}

template <class T, class Request>
void KafkaStream::ask(Partition partition, Request request, Done<T> done) {
  if (find(partition) == nullptr) return done(not_found());
  auto answered = [this, partition, request, done = std::move(done)](Result<T> result) mutable {
    if (find(partition) == nullptr) return done(not_found());
    if (result || result.error().code != Errc::not_found) return done(std::move(result));
    loop_.run_after(retry_delay, [this, partition, request, done = std::move(done)]() mutable {
      ask<T>(partition, std::move(request), std::move(done));
    });
  };
  request(place_of(partition), bring_home<T>(std::move(answered)));
}

// --- the catalogue

const stream::StreamInfo* KafkaStream::find(Partition partition) const {
  const stream::StreamInfo* const stream = catalogue_.find(partition.stream);
  return stream != nullptr && partition.index < stream->config.partitions ? stream : nullptr;
}

Place KafkaStream::place_of(Partition partition) const {
  return {topic_of(catalogue_.find(partition.stream)->name), partition.index};
}

ShardId KafkaStream::home(Partition partition) const {
  return shard_of_slot(slot_of(partition), count_);
}

void KafkaStream::create(std::string name, stream::StreamConfig config,
                         Done<stream::StreamInfo> done) {
  auto valid = stream::validate_stream_name(name);
  if (valid) valid = stream::validate_config(config);
  if (!valid) return done(std::unexpected(std::move(valid.error())));
  if (catalogue_.find(name) != nullptr)
    return done(fail(Errc::exists, "stream {} exists already", name));
  cluster_.registry->create(std::move(name), config, bring_home(std::move(done)));
}

void KafkaStream::remove(std::string name, Done<void> done) {
  cluster_.registry->remove(std::move(name), bring_home(std::move(done)));
}

void KafkaStream::alter(std::string name, stream::StreamConfig config,
                        Done<stream::StreamInfo> done) {
  if (auto valid = stream::validate_config(config); !valid)
    return done(std::unexpected(std::move(valid.error())));
  cluster_.registry->alter(std::move(name), config, bring_home(std::move(done)));
}

void KafkaStream::apply(std::shared_ptr<const Change> change, Task done) {
  loop_.post_from_outside([this, change = std::move(change), done = std::move(done)]() mutable {
    take_over(*change);
    done();
  });
}

void KafkaStream::take_over(const Change& change) {
  for (const auto& stream : change.removed) {
    catalogue_.remove(stream.name);
    forget(stream);
    for (auto* const sink : sinks_) sink->on_stream_removed(stream);
  }
  for (const auto& stream : change.added) {
    catalogue_.add(stream);
    for (auto* const sink : sinks_) sink->on_stream_added(stream);
  }
  for (const auto& [before, now] : change.changed) {
    catalogue_.remove(before.name);
    catalogue_.add(now);
    for (auto* const sink : sinks_) sink->on_stream_changed(before, now);
  }
  streams_known_.set(static_cast<std::int64_t>(catalogue_.all().size()));
}

void KafkaStream::forget(const stream::StreamInfo& stream) {
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    const Partition partition{stream.id, i};
    if (home(partition) == shard_) follows_.forget(partition);
    tails_.erase(partition);
    run_waits(partition, {beyond_all});
    appends_.fail_all(partition, {Errc::closed, fmt::format("stream {} was removed", stream.name)});
  }
}

// --- appending

void KafkaStream::append(Partition partition, std::shared_ptr<log::Block> block,
                         Done<stream::Appended> done) {
  const stream::StreamInfo* const stream = find(partition);
  if (stream == nullptr) return done(not_found());
  if (std::cmp_greater(block->bytes().size(), stream->config.max_message_bytes))
    return done(fail(Errc::too_large, "a batch of {} bytes: stream {} takes {}",
                     block->bytes().size(), stream->name, stream->config.max_message_bytes));
  if (!cluster_.producer->has_room())
    return done(fail(Errc::busy, "the buffer for records on their way to the cluster is full"));
  if (auto indexed = block->index_records(expanded_max); !indexed)
    return done(std::unexpected(std::move(indexed.error())));
  const std::uint64_t number = appends_.push(partition, loop_.now(), std::move(done));
  cluster_.producer->produce(topic_of(stream->name), partition.index, std::move(block),
                             [this, partition, number](Result<Stored> stored) {
                               on_stored(partition, number, std::move(stored));
                             });
}

// On the producer's thread. Who has seen an acknowledgement finds in the state what was folded from
// it: so the answer goes by the partition's home, and waits there for the fold, if there is one.
void KafkaStream::on_stored(Partition partition, std::uint64_t number, Result<Stored> stored) {
  if (!stored) {
    loop_.post_from_outside([this, partition, number, error = std::move(stored.error())]() mutable {
      failures_.add();
      appends_.answer(partition, number, std::unexpected(std::move(error)));
    });
    return;
  }
  KafkaStream& home = *shards_[this->home(partition).value];
  home.loop_.post_from_outside([this, &home, partition, number, stored = *stored] {
    home.follows_.after_fold(partition, stored.last, [this, &home, partition, number, stored] {
      home.on(shard_, [partition, number, stored](KafkaStream& asker) {
        asker.appends_.answer(partition, number, stream::Appended{stored.first});
      });
    });
  });
}

bool KafkaStream::has_room(Partition /*partition*/) const { return cluster_.producer->has_room(); }

void KafkaStream::on_room(Partition /*partition*/, Task callback) {
  room_waiters_.push_back(std::move(callback));
  waits_for_room_ = true;
  // Room that came before the flag was seen by nobody.
  if (cluster_.producer->has_room()) loop_.post([this] { run_room_waiters(); });
}

void KafkaStream::room_again() {
  if (!waits_for_room_.load() || !cluster_.producer->has_room()) return;
  if (waits_for_room_.exchange(false)) loop_.post_from_outside([this] { run_room_waiters(); });
}

void KafkaStream::run_room_waiters() {
  for (Task& callback : std::exchange(room_waiters_, {})) callback();
}

// --- reading

void KafkaStream::bounds(Partition partition, Done<stream::Bounds> done) {
  ask<stream::Bounds>(
      partition,
      [this](const Place& place, Done<stream::Bounds> answered) {
        cluster_.readers->bounds(place, std::move(answered));
      },
      std::move(done));
}

void KafkaStream::resolve(Partition partition, stream::Start start, WallMs when,
                          Done<stream::Resolved> done) {
  ask<stream::Resolved>(
      partition,
      [this, start, when](const Place& place, Done<stream::Resolved> answered) {
        cluster_.readers->resolve(place, start, when, std::move(answered));
      },
      std::move(done));
}

void KafkaStream::resolve_newest(Partition /*partition*/, std::uint64_t /*bytes*/,
                                 Done<Offset> done) {
  done(fail(Errc::unsupported, "a Kafka cluster does not tell where bytes begin"));
}

void KafkaStream::read(Partition partition, Offset from, std::size_t bytes_max,
                       stream::Want /*want*/, stream::KeyHintRef /*hint*/,
                       Done<stream::ReadAnswer> done) {
  ask<stream::ReadAnswer>(
      partition,
      [this, from, bytes_max](const Place& place, Done<stream::ReadAnswer> answered) {
        cluster_.readers->read(place, from, bytes_max, std::move(answered));
      },
      std::move(done));
}

void KafkaStream::delete_records(Partition partition, Offset before, Done<Offset> done) {
  ask<Offset>(
      partition,
      [this, before](const Place& place, Done<Offset> answered) {
        cluster_.readers->run<Offset>(
            [place, before](rd_kafka_t* client) {
              return kafka_stream::delete_records(client, place, before);
            },
            std::move(answered));
      },
      std::move(done));
}

// --- following

void KafkaStream::tail(Partition partition, stream::TailSink& sink, Done<Offset> done) {
  if (find(partition) == nullptr) return done(not_found());
  const std::uint64_t id = ++last_tail_;
  tails_[partition] = {&sink, id, std::move(done)};
  on(home(partition), [this, partition, id, place = place_of(partition)](KafkaStream& home) {
    home.follows_.add_tail(partition, place, *this, id);
  });
}

void KafkaStream::untail(Partition partition) {
  const auto found = tails_.find(partition);
  if (found == tails_.end()) return;
  Tail ended = std::move(found->second);
  tails_.erase(found);
  on(home(partition), [this, partition, id = ended.id](KafkaStream& home) {
    home.follows_.remove_tail(partition, *this, id);
  });
  if (ended.done) ended.done(fail(Errc::closed, "the tail was given up"));
}

void KafkaStream::on_follow_answer(Partition partition, std::uint64_t tail, Offset next) {
  here(partition, [this, partition, tail, next] { take_answer(partition, tail, next); });
}

void KafkaStream::take_answer(Partition partition, std::uint64_t tail, Offset next) {
  const auto found = tails_.find(partition);
  if (found == tails_.end() || found->second.id != tail) return;
  std::exchange(found->second.done, nullptr)(next);
}

void KafkaStream::on_follow_block(Partition partition, std::uint64_t tail,
                                  const DeliveryRef& delivery) {
  here(partition,
       [this, partition, tail, delivery] { take_block(partition, tail, delivery->block()); });
}

void KafkaStream::take_block(Partition partition, std::uint64_t tail, const log::BlockRef& block) {
  const auto found = tails_.find(partition);
  if (found == tails_.end() || found->second.id != tail) return;
  found->second.sink->on_block(partition, block);
}

void KafkaStream::fold(Partition partition, log::CommitSink& sink, Done<Offset> done) {
  if (find(partition) == nullptr) return done(not_found());
  SLUICE_ASSERT(home(partition) == shard_);
  follows_.fold(partition, place_of(partition), sink, std::move(done));
}

void KafkaStream::deliver(std::uint64_t follow, DeliveryRef delivery) {
  loop_.post_from_outside(
      [this, follow, delivery = std::move(delivery)] { follows_.on_delivery(follow, delivery); });
}

stream::WaitId KafkaStream::wait_beyond(Partition partition, Offset next, Task callback) {
  const auto id = static_cast<stream::WaitId>(++last_wait_);
  waits_.emplace(id, Wait{partition, next, std::move(callback)});
  if (find(partition) == nullptr) {
    loop_.post([this, partition] { run_waits(partition, {beyond_all}); });
    return id;
  }
  on(home(partition), [this, partition, next, place = place_of(partition)](KafkaStream& home) {
    home.follows_.watch(partition, place, *this, next);
  });
  return id;
}

void KafkaStream::on_follow_end(Partition partition, Offset end) {
  // Never within wait_beyond(): its caller does not have the number yet.
  loop_.post_from_outside([this, partition, end] { run_waits(partition, end); });
}

void KafkaStream::run_waits(Partition partition, Offset end) {
  std::vector<Task> callbacks;
  for (auto wait = waits_.begin(); wait != waits_.end();) {
    if (wait->second.partition == partition && wait->second.next < end) {
      callbacks.push_back(std::move(wait->second.callback));
      wait = waits_.erase(wait);
    } else {
      ++wait;
    }
  }
  for (Task& callback : callbacks) callback();
}

std::string KafkaStream::trouble() const {
  const auto oldest = appends_.oldest();
  if (!oldest || loop_.now() - *oldest < slow_answer) return {};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(loop_.now() - *oldest);
  return fmt::format("kafka_cluster: no answer to an append for {} s{}", seconds.count(),
                     cluster_.producer->has_room()
                         ? ""
                         : "; kafka_cluster.buffer is full, publishers are not read from");
}

}  // namespace sluice::kafka_stream
