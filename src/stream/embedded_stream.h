#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "stream/appends.h"
#include "stream/catalogue_writer.h"
#include "stream/embedded.h"
#include "stream/links.h"
#include "stream/tails.h"
#include "stream/waits.h"

namespace sluice::stream {

// One shard of the embedded backend. What concerns partitions of this shard goes to its log by a
// plain call; the rest by letters to the owner, and home again (ask, send).
//
// At a commit, in this order: blocks to the tails, waits, then (by the log) the answers to the
// appends. The letters to another shard keep that order, so whoever sees an acknowledgement has
// seen the block if it follows the partition.
class EmbeddedStream final : public Stream, public log::CommitSink {
 public:
  // The shards of a backend in order; complete before the loops run, and not changed from then on.
  using Shards = std::vector<std::unique_ptr<EmbeddedStream>>;

  // `log` needs no sink: that is this object.
  EmbeddedStream(const Shards& shards, ShardId shard, std::uint32_t count,
                 runtime::Mailboxes& mailboxes, const EmbeddedTuning& tuning, log::Log::Context log,
                 const log::Options& options, log::Recovery& recovered);

  // --- Stream
  [[nodiscard]] Caps caps() const override { return {.key_index = true}; }
  [[nodiscard]] const Catalogue& catalogue() const override { return catalogue_; }
  void watch_catalogue(CatalogueSink& sink) override { sinks_.push_back(&sink); }
  void create(std::string name, StreamConfig config, Done<StreamInfo> done) override;
  void remove(std::string name, Done<void> done) override;
  void alter(std::string name, StreamConfig config, Done<StreamInfo> done) override;
  [[nodiscard]] ShardId home(Partition partition) const override { return owner_of(partition); }
  void append(Partition partition, std::shared_ptr<Block> block, Done<Appended> done) override;
  [[nodiscard]] bool has_room(Partition partition) const override;
  void on_room(Partition partition, Task callback) override;
  void bounds(Partition partition, Done<Bounds> done) override;
  void resolve(Partition partition, Start start, WallMs when, Done<Resolved> done) override;
  void resolve_newest(Partition partition, std::uint64_t bytes, Done<Offset> done) override;
  using Stream::read;
  void read(Partition partition, Offset from, std::size_t bytes_max, Want want, KeyHintRef hint,
            Done<ReadAnswer> done) override;
  void tail(Partition partition, TailSink& sink, Done<Offset> done) override;
  void untail(Partition partition) override { tails_.untail(partition); }
  void delete_records(Partition partition, Offset before, Done<Offset> done) override;
  void hold(Partition partition, Offset from) override;
  void fold(Partition partition, CommitSink& sink, Done<Offset> done) override;
  WaitId wait_beyond(Partition partition, Offset next, Task callback) override;
  void cancel(WaitId wait) override { waits_.cancel(wait); }

  void on_commit(Partition partition, const std::shared_ptr<Block>& block) override;

  // --- for the backend's own parts
  [[nodiscard]] ShardId shard() const { return shard_; }
  [[nodiscard]] ShardId owner_of(Partition partition) const;
  [[nodiscard]] bool knows(Partition partition) const;
  [[nodiscard]] runtime::Loop& loop() { return loop_; }
  [[nodiscard]] log::Log& log() { return log_; }
  [[nodiscard]] const log::Log& log() const { return log_; }
  [[nodiscard]] Appends& appends() { return appends_; }
  [[nodiscard]] Tails& tails() { return tails_; }
  [[nodiscard]] Waits& waits() { return waits_; }

  void add_stream(const StreamInfo& stream);
  void change_stream(const StreamInfo& now);
  void remove_stream(const StreamInfo& stream);
  void open_partitions(const StreamInfo& stream);  // those that this shard owns; or their settings
  void drop_partitions(const StreamInfo& stream);
  // Places the records of a block of this shard, if that is possible: else it stays as it is.
  void index(Block& block);

  // Runs `work(EmbeddedStream&)` on another shard.
  template <class Work>
  void send(ShardId to, Work work) {
    links_.send(to,
                [&there = *shards_[to.value], work = std::move(work)]() mutable { work(there); });
  }
  // Runs `work(EmbeddedStream&, Done<T>)` on another shard and brings its answer home. `done`
  // travels there and back but is touched here only.
  template <class T, class Work>
  void request(ShardId to, Work work, Done<T> done);
  // As request, on any shard, and at most EmbeddedTuning::requests of them under way: else busy.
  template <class T, class Work>
  void ask(ShardId to, Work work, Done<T> done);
  // Runs `work(EmbeddedStream&)` on all shards, this one included, then `done` here.
  template <class Work>
  void on_all(const Work& work, Task done);

 private:
  struct Fold {
    CommitSink* sink;
    Offset next;  // an earlier block of the commit that is being told is not for it
  };

  const Shards& shards_;
  const ShardId shard_;
  const std::uint32_t count_;  // of shards; shards_ grows while they are made
  const std::uint32_t requests_max_;
  runtime::Loop& loop_;
  Catalogue catalogue_;
  std::vector<CatalogueSink*> sinks_;
  std::unordered_map<Partition, Fold> folds_;
  Links links_;
  std::vector<std::uint32_t> requests_;  // under way, by shard
  Appends appends_;
  Tails tails_;
  Waits waits_;
  CatalogueWriter writer_;  // used on one shard only
  log::Log log_;            // last: its commits use what is above
};

template <class T, class Work>
void EmbeddedStream::request(ShardId to, Work work, Done<T> done) {
  send(to, [work = std::move(work), done = std::move(done),
            home = shard_](EmbeddedStream& there) mutable {
    work(there, Done<T>([&there, home, done = std::move(done)](Result<T> result) mutable {
           there.send(home, [done = std::move(done), result = std::move(result)](
                                EmbeddedStream&) mutable { done(std::move(result)); });
         }));
  });
}

template <class T, class Work>
void EmbeddedStream::ask(ShardId to, Work work, Done<T> done) {
  if (to == shard_) return work(*this, std::move(done));
  auto& under_way = requests_[to.value];
  if (under_way == requests_max_) {
    return done(fail(Errc::busy, "{} requests to shard {} are under way", under_way, to.value));
  }
  ++under_way;
  request<T>(to, std::move(work),
             Done<T>([&under_way, done = std::move(done)](Result<T> result) mutable {
               --under_way;
               done(std::move(result));
             }));
}

template <class Work>
void EmbeddedStream::on_all(const Work& work, Task done) {
  struct Count {
    std::size_t left;
    Task done;
  };
  auto count = std::make_shared<Count>(shards_.size(), std::move(done));
  const auto finish_one = [count] {
    if (--count->left == 0) count->done();
  };
  for (const auto& other : shards_) {
    if (other.get() == this) continue;
    request<void>(
        other->shard(),
        [work](EmbeddedStream& there, Done<void> answer) {
          work(there);
          answer({});
        },
        [finish_one](const Result<void>&) { finish_one(); });
  }
  work(*this);
  finish_one();
}

}  // namespace sluice::stream
