#include "latest/latest.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/logger.h"
#include "latest/folds.h"
#include "latest/housekeeping.h"
#include "latest/rehoming.h"
#include "latest/scan.h"
#include "runtime/ask.h"

namespace sluice::latest {
namespace {

constexpr Logger logger("latest");
constexpr std::string_view table_name = "__retained";
// How long a snapshot waits for a shard that does not know a stream: it may be gone again.
constexpr runtime::Duration unknown_stream_wait = std::chrono::seconds(1);

}  // namespace

class Latest::Impl final : public stream::CatalogueSink, public FoldSink {
 public:
  Impl(Group& group, const table::Table::Context& context)
      : group_(group),
        shards_(context.shards),
        table_(context, std::string(table_name)),
        place_{.loop = context.loop,
               .stream = context.stream,
               .table = &table_,
               .shard = context.shard},
        folds_(place_, *this, *context.metrics),
        rehoming_(
            place_, group.mailboxes(), folds_,
            [&group](ShardId other) -> Rehoming& { return group.on(other).impl_->rehoming_; }),
        housekeeping_(place_, folds_, *context.metrics) {
    place_.stream->watch_catalogue(*this);
    rehoming_.on_progress([this] { run_settled(); });
  }

  // --- start
  void open(Topics& topics, Done<void> done);
  void load_positions(std::uint32_t slot, std::string from);
  void on_positions(std::uint32_t slot, Result<table::Portion> portion);
  void follow_all();
  void finish_open(Result<void> result);

  // --- streams
  void on_stream_added(const stream::StreamInfo& stream) override;
  void on_stream_changed(const stream::StreamInfo& before, const stream::StreamInfo& now) override;
  void on_stream_removed(const stream::StreamInfo& stream) override;
  void follow(const stream::StreamInfo& stream, std::uint32_t index);
  void expect_moves();
  void check_topics_of(const stream::StreamInfo& stream);
  [[nodiscard]] bool is_home(Partition partition) const {
    return place_.stream->home(partition) == place_.shard;
  }

  // --- folds
  void on_row(Partition partition, std::string_view record_key,
              std::optional<Partition> elsewhere) override;
  void on_live(Partition partition) override;

  // --- snapshots
  [[nodiscard]] bool may_have(const stream::StreamInfo& stream) const;
  void settle(std::vector<Extent> streams, Task done);
  void settle_here(std::vector<Extent> streams, Task done);
  [[nodiscard]] bool settled(const Extent& extent) const;
  void run_settled();
  void scan(Want want, Done<Portion> done);
  void scan_here(Want want, Done<Portion> done);

  struct Settling {
    std::vector<Extent> streams;
    runtime::TimePoint deadline;
    Task done;
  };

  Group& group_;
  const std::uint32_t shards_;
  table::Table table_;
  Place place_;
  Folds folds_;
  Rehoming rehoming_;
  Housekeeping housekeeping_;
  bool following_ = false;                   // positions are loaded
  Done<void> opened_;                        // while it is awaited
  std::map<Partition, Position> positions_;  // loaded, not yet taken
  std::vector<Settling> settling_;
};

Latest::Latest(Group& group, const table::Table::Context& context)
    : impl_(std::make_unique<Impl>(group, context)) {}
Latest::~Latest() = default;

void Latest::open(Topics& topics, Done<void> done) { impl_->open(topics, std::move(done)); }
bool Latest::may_have(const stream::StreamInfo& stream) const { return impl_->may_have(stream); }
void Latest::settle(std::vector<Extent> streams, Task done) {
  impl_->settle(std::move(streams), std::move(done));
}
void Latest::scan(Want want, Done<Portion> done) { impl_->scan(std::move(want), std::move(done)); }

void Latest::stop(Done<void> done) {
  impl_->housekeeping_.stop();
  impl_->folds_.stop();
  impl_->table_.stop(std::move(done));
}

std::string place_of(const log::Block& block, const log::Record& record) {
  return to_ordered(as_text(block.key(record)));
}

// --- start

void Latest::Impl::open(Topics& topics, Done<void> done) {
  place_.topics = &topics;
  opened_ = std::move(done);
  table_.open([this](Result<void> opened) {
    if (!opened) return finish_open(std::move(opened));
    load_positions(place_.shard.value, positions_begin());
  });
}

// Slots of this shard, one after the other.
void Latest::Impl::load_positions(std::uint32_t slot, std::string from) {
  if (slot >= slot_count) return follow_all();
  table_.scan(
      slot, {.from = std::move(from), .until = end_of(positions_begin())},
      [this, slot](Result<table::Portion> portion) { on_positions(slot, std::move(portion)); });
}

void Latest::Impl::on_positions(std::uint32_t slot, Result<table::Portion> portion) {
  if (!portion) return finish_open(std::unexpected(std::move(portion.error())));
  for (const table::Row& row : portion->rows) {
    const auto partition = partition_in(row.key);
    const auto position = decode_position(row.value);
    if (partition && position)
      positions_.emplace(*partition, *position);
    else
      logger.warn("a position of retained messages can't be read; its partition is read again",
                  {{"slot", slot}});
  }
  if (portion->next) return load_positions(slot, std::move(*portion->next));
  // By way of the loop, for slots may be many and answer at once.
  place_.loop->post([this, slot] { load_positions(slot + shards_, positions_begin()); });
}

void Latest::Impl::follow_all() {
  expect_moves();
  for (const auto& [name, stream] : place_.stream->catalogue().all())
    if (!stream.config.internal)
      for (std::uint32_t i = 0; i < stream.config.partitions; ++i) follow(stream, i);
  for (const auto& [partition, position] : std::exchange(positions_, {}))
    housekeeping_.drop(partition);  // its stream was removed
  housekeeping_.start();
  following_ = true;
  if (folds_.all_live()) finish_open({});
}

void Latest::Impl::finish_open(Result<void> result) {
  if (!opened_) return;
  // What was not finished before the last stop.
  for (const auto& [name, stream] : place_.stream->catalogue().all()) check_topics_of(stream);
  std::exchange(opened_, nullptr)(std::move(result));
}

void Latest::Impl::follow(const stream::StreamInfo& stream, std::uint32_t index) {
  const Partition partition{stream.id, index};
  if (!is_home(partition)) return;
  std::optional<Position> position;
  if (const auto found = positions_.extract(partition)) position = found.mapped();
  folds_.add(stream, index, position);
}

// --- streams

void Latest::Impl::on_stream_added(const stream::StreamInfo& stream) {
  if (!following_ || stream.config.internal) return;
  expect_moves();
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) follow(stream, i);
  check_topics_of(stream);
  run_settled();
}

void Latest::Impl::on_stream_changed(const stream::StreamInfo& before,
                                     const stream::StreamInfo& now) {
  if (!following_ || now.config.internal) return;
  if (now.config.partitions > before.config.partitions) {
    expect_moves();
    for (std::uint32_t i = 0; i < before.config.partitions; ++i)
      if (folds_.has_rows({now.id, i})) rehoming_.check({now.id, i}, "");
    for (std::uint32_t i = before.config.partitions; i < now.config.partitions; ++i) follow(now, i);
  }
  run_settled();
}

void Latest::Impl::on_stream_removed(const stream::StreamInfo& stream) {
  if (!following_ || stream.config.internal) return;
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    const Partition partition{stream.id, i};
    if (!folds_.knows(partition)) continue;
    folds_.remove(partition);
    housekeeping_.drop(partition);
  }
  rehoming_.forget(stream.id);
  run_settled();
}

// Messages from where topics were routed before may come for some time: a clear must stop them.
void Latest::Impl::expect_moves() {
  folds_.keep_cleared_until(place_.loop->now() + Housekeeping::keep_cleared);
}

// Topics that `stream` has taken from the one that has all the rest.
void Latest::Impl::check_topics_of(const stream::StreamInfo& stream) {
  if (stream.config.internal) return;
  const std::string prefix = place_.topics->prefix_of(stream);
  if (prefix.empty()) return;
  for (const auto& [name, other] : place_.stream->catalogue().all()) {
    if (other.config.internal || !place_.topics->prefix_of(other).empty()) continue;
    for (std::uint32_t i = 0; i < other.config.partitions; ++i)
      if (folds_.has_rows({other.id, i})) rehoming_.check({other.id, i}, to_ordered(prefix));
  }
}

// --- folds

void Latest::Impl::on_row(Partition partition, std::string_view record_key,
                          std::optional<Partition> elsewhere) {
  rehoming_.on_row(partition, record_key);
  if (!elsewhere) return;
  // Published by who did not know the stream yet, or not all of its partitions.
  const auto* target = place_.stream->catalogue().find(elsewhere->stream);
  const bool same = elsewhere->stream == partition.stream;
  rehoming_.check(partition, same || !target ? "" : to_ordered(place_.topics->prefix_of(*target)));
}

void Latest::Impl::on_live(Partition partition) {
  const auto* stream = place_.stream->catalogue().find(partition.stream);
  if (stream && folds_.has_rows(partition) && folds_.placed(partition) != stream->config.partitions)
    rehoming_.check(partition, "");
  if (following_ && folds_.all_live()) finish_open({});
  run_settled();
}

// --- snapshots

bool Latest::Impl::may_have(const stream::StreamInfo& stream) const {
  if (group_.size() > 1 || !rehoming_.idle()) return true;  // they may be on their way to it
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    const Partition partition{stream.id, i};
    if (!folds_.live(partition) || folds_.has_rows(partition)) return true;
  }
  return false;
}

void Latest::Impl::settle(std::vector<Extent> streams, Task done) {
  struct Asked {
    std::uint32_t open;
    Task done;
  };
  auto asked = std::make_shared<Asked>(Asked{group_.size(), std::move(done)});
  for (std::uint32_t i = 0; i < group_.size(); ++i) {
    const ShardId to{i};
    runtime::ask(
        group_.mailboxes(), place_.shard, to,
        [&there = *group_.on(to).impl_, streams](Task reply) mutable {
          there.settle_here(std::move(streams), std::move(reply));
        },
        [asked] {
          if (--asked->open == 0) asked->done();
        });
  }
}

void Latest::Impl::settle_here(std::vector<Extent> streams, Task done) {
  std::erase_if(streams, [&](const Extent& extent) { return settled(extent); });
  if (streams.empty()) return done();
  settling_.push_back(
      {std::move(streams), place_.loop->now() + unknown_stream_wait, std::move(done)});
  place_.loop->run_after(unknown_stream_wait, [this] { run_settled(); });
}

bool Latest::Impl::settled(const Extent& extent) const {
  const auto* stream = place_.stream->catalogue().find(extent.stream);
  if (!stream || stream->config.partitions < extent.partitions) return false;
  for (std::uint32_t i = 0; i < stream->config.partitions; ++i)
    if (is_home({stream->id, i}) && !folds_.live({stream->id, i})) return false;
  return rehoming_.idle(extent.stream);
}

void Latest::Impl::run_settled() {
  std::vector<Task> ready;
  std::erase_if(settling_, [&](Settling& one) {
    const bool late = place_.loop->now() >= one.deadline;
    std::erase_if(one.streams, [&](const Extent& extent) {
      return settled(extent) || (late && !place_.stream->catalogue().find(extent.stream));
    });
    if (one.streams.empty()) ready.push_back(std::move(one.done));
    return one.streams.empty();
  });
  for (Task& done : ready) done();
}

void Latest::Impl::scan(Want want, Done<Portion> done) {
  const ShardId home = place_.stream->home(want.partition);
  auto answer = std::make_shared<Result<Portion>>();
  runtime::ask(
      group_.mailboxes(), place_.shard, home,
      [&there = *group_.on(home).impl_, want = std::move(want), answer](Task reply) mutable {
        there.scan_here(std::move(want),
                        [answer, reply = std::move(reply)](Result<Portion> portion) mutable {
                          *answer = std::move(portion);
                          reply();
                        });
      },
      [answer, done = std::move(done)]() mutable { done(std::move(*answer)); });
}

void Latest::Impl::scan_here(Want want, Done<Portion> done) {
  const Partition partition = want.partition;
  folds_.when_live(partition, [this, want = std::move(want), done = std::move(done)]() mutable {
    const auto* stream = place_.stream->catalogue().find(want.partition.stream);
    if (!stream || !folds_.has_rows(want.partition)) return done(Portion{});
    const std::string prefix = place_.topics->prefix_of(*stream);
    std::make_shared<Scan>(place_, std::move(want), prefix, std::move(done))->start();
  });
}

}  // namespace sluice::latest
