#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/logger.h"
#include "base/metrics.h"
#include "hub/announcements.h"
#include "hub/router.h"
#include "hub/snapshots.h"
#include "hub/subscriptions.h"
#include "hub/sweep.h"
#include "latest/latest.h"
#include "runtime/loop.h"
#include "stream/stream.h"
#include "trace/tracer.h"

namespace sluice::hub {

// From the log to the subscribers of one shard.
//
// A Source is a partition that some filter of the shard covers. Its records come block by block
// from the tail; when the shard itself falls behind, from the log until it has caught up. Each
// block is matched once and handed to every subscriber at the tail in one call.
//
// A subscriber that takes less than it was offered lags: it keeps the offset where it stopped, and
// no tail gives it anything until it is there again. Those who lag are served together, by sweeps:
// the log is read from the lowest offset that anybody waits for up to where the tail was, each
// block once, matched once; whoever can't take more stays behind with its offset and boards the
// next sweep after resume() (distributor_sweep.cc). A subscriber that waits for retained messages
// lags in the same way, up to a stop (snapshots.h).
class Distributor final : public stream::TailSink, public stream::CatalogueSink {
 public:
  Distributor(runtime::Loop& loop, stream::Stream& stream, Router& router, latest::Latest& latest,
              Metrics& metrics, trace::Tracer& tracer);

  Handle add(SubscriberSink& sink, std::uint64_t session);
  // Another one with the sink and the session of a subscriber that is there.
  Handle add_beside(Handle handle);
  void remove(Handle handle);
  // With `starts` the subscriber reads each partition of the only stream that the filter covers
  // from its place there on; it has no other filter.
  void subscribe(Handle handle, const std::string& filter, const SubscribeOptions& options,
                 Done<void> done, const std::vector<Offset>& starts = {});
  bool unsubscribe(Handle handle, std::string_view filter);
  [[nodiscard]] bool has_filter(Handle handle, std::string_view filter);
  void resume(Handle handle);
  // As those of Hub, without shared filters.
  [[nodiscard]] std::vector<Position> positions(Handle handle);
  [[nodiscard]] std::vector<Position> tails(std::string_view filter);
  [[nodiscard]] std::vector<Position> since(Handle handle, std::string_view text);
  // Of one that has just been added.
  void restore(Handle handle, std::vector<StoredFilter> filters, std::vector<Position> next,
               Done<void> done, const std::vector<sessions::RetainedRest>& rests = {});
  [[nodiscard]] std::vector<sessions::RetainedRest> retained_rests(Handle handle) {
    return snapshots_.rests(handle);
  }
  [[nodiscard]] std::vector<Position> restored_positions(std::vector<StoredFilter> filters,
                                                         std::vector<Position> next) const;
  // Restored, and not resumed yet.
  [[nodiscard]] bool is_held(Handle handle);
  [[nodiscard]] SubscriberSink* sink_of(Handle handle);  // null: it is gone
  // What the filters of a subscriber that is there grant of a record that it gets again; null: none
  // matches. Valid until the next call; not within on_records().
  [[nodiscard]] const Grant* grant_again(Handle handle, Position position, std::string_view topic);
  [[nodiscard]] SubscriberState describe(Handle handle);
  [[nodiscard]] std::size_t count_matching(Partition partition, const log::Block& block,
                                           const log::Record& record);
  void announce(AnnouncementRef announcement) { announcements_.announce(std::move(announcement)); }

  void on_block(Partition partition, const stream::BlockRef& block) override;
  void on_behind(Partition partition, Offset at) override;
  void on_stream_added(const stream::StreamInfo& stream) override;
  void on_stream_removed(const stream::StreamInfo& stream) override;
  void on_stream_changed(const stream::StreamInfo& before, const stream::StreamInfo& now) override;

 private:
  // A subscribe() or restore() that waits for tails.
  struct Subscribing {
    std::uint32_t tails = 0;
    Handle handle;
    std::uint64_t snapshot = 0;  // of the retained messages; 0: none
    std::string new_filter{};    // that does not count for what lies before the tails
    bool restores = false;       // may be beyond the tails
    Done<void> done;
  };
  struct Waiting {
    std::shared_ptr<Subscribing> subscribing;
    bool has_place;  // in the snapshot
  };
  // Tells a source from an earlier one of the same partition, whose answers are still on their way.
  struct SourceId {
    Partition partition;
    std::uint64_t life;
  };
  // How far back a limit reaches in a partition.
  struct Floor {
    LagLimit limit;
    Offset from{};  // who wants less is too far behind
    runtime::TimePoint known_until{};
  };
  struct Source {
    [[nodiscard]] SourceId id() const { return {partition, life}; }
    [[nodiscard]] Subscriptions::Scope scope() const {
      return {prefix, partition.stream.value, wildcards};
    }

    Partition partition;
    std::uint64_t life = 0;
    std::string stream;
    std::string prefix;         // of the topics: "" or "<stream>/"
    bool wildcards = false;     // filters that begin with a wildcard cover it
    std::uint64_t filters = 0;  // that cover it
    Offset next;                // everything below was handed out
    bool asked = false;         // for the tail, and no answer yet
    bool tailing = false;       // next is known
    bool behind =
        false;  // reading the log up to the tail; what the tail brings meanwhile will be read
    bool untailed = false;  // the tail was given up, and is asked for again when the log is read
    bool warned = false;    // that it holds records without a topic
    Offset ahead = Lag::no_stop;  // somebody begins there, beyond `next`
    std::array<Sweep, 2> sweeps{Sweep{1}, Sweep{2}};
    std::vector<Handle> lagging;   // and some that are gone
    std::size_t gone = 0;          // of those, at most
    std::vector<Handle> called;    // of those: who may board a sweep, or is at the tail; each once
    std::vector<Floor> floors;     // of limits that those who lag have, or had
    std::vector<Waiting> waiting;  // for `tailing`
  };
  struct Beyond {
    Handle handle;
    Offset to;  // where it goes on
  };

  Source* find(Partition partition);
  Source* find_same(SourceId id);
  Source& cover(Partition partition, const stream::StreamInfo& stream, std::uint64_t filters);
  void uncover(const stream::StreamInfo& stream);
  std::uint64_t count_filters(const stream::StreamInfo& stream);
  void drop_source(Source& source);
  [[nodiscard]] std::optional<Partition> partition_of(const std::string& filter);
  [[nodiscard]] bool covers(const Filter& filter, const stream::StreamInfo& stream) const;
  [[nodiscard]] std::vector<const stream::StreamInfo*> covered_by(const Filter& filter) const;
  void begin(Source& source, const Waiting& waiting);
  void set_since(Source& source, Handle handle, std::string_view filter);
  void add_place(Source& source, const Subscribing& subscribing);
  void finish_tail(Subscribing& subscribing);
  void start_tail(Source& source, bool from_start);
  void ask_again(SourceId id, bool from_start);
  void start_lags_from_start(Source& source);
  void on_tail(SourceId id, Result<Offset> next, bool from_start);
  void catch_up(SourceId id);
  void on_caught_up(SourceId id, const Result<stream::ReadAnswer>& answer);

  // `sweep`, here and below: null for what the tail brings.
  void hand_out(Source& source, const stream::BlockRef& block, Sweep* sweep);
  void collect(Source& source, const log::Block& block, const Sweep* sweep);
  [[nodiscard]] static bool is_due(const Source& source, const Subscriber& subscriber,
                                   Offset offset, const Sweep* sweep);
  [[nodiscard]] bool takes_all(const Source& source, const log::Block& block,
                               std::span<const log::Record> alike, const Target& target,
                               const Sweep* sweep);
  [[nodiscard]] const Target* narrow(const Source& source, const log::Block& block,
                                     const log::Record& record, const Target& target,
                                     const Sweep* sweep);
  void collect_alike(Source& source, const log::Block& block, std::uint32_t first,
                     std::uint32_t count, const Sweep* sweep);
  void offer(std::uint32_t subscriber, const Delivery& delivery);
  void deliver(Source& source, const stream::BlockRef& block, bool in_portions);
  void note_undeliverable(Source& source, std::uint32_t count);
  [[nodiscard]] const Matched& match(const Source& source, const log::Block& block,
                                     const log::Record& record);

  // For traces, while one is on (distributor_trace.cc).
  void trace_block(const Source& source, const log::Block& block, const Sweep* sweep);
  void trace_target(const Source& source, const log::Block& block, const log::Record& record,
                    const Target& target, const Sweep* sweep);
  void trace_position(std::string_view event, const Source& source, const Subscriber& subscriber,
                      Offset next);

  // Of restored subscribers, and those to be (distributor_restore.cc).
  [[nodiscard]] std::vector<const stream::StreamInfo*> streams_of(const Subscriber& subscriber,
                                                                  std::string_view one_more = {});
  [[nodiscard]] std::size_t count_covered(const Subscriber& subscriber, std::string_view one_more);
  [[nodiscard]] std::vector<Partition> restore_filters(Handle handle,
                                                       const std::vector<StoredFilter>& filters);
  void restore_rest(Handle handle, const sessions::RetainedRest& rest);
  void restore_place(Handle handle, const std::vector<StoredFilter>& filters, Source& source,
                     Offset start);
  void hold(Handle handle);
  void wait_for_tail(Partition partition, const std::shared_ptr<Subscribing>& subscribing);
  [[nodiscard]] bool is_beyond(const Source& source, Handle handle);
  void check_end(SourceId id, const std::shared_ptr<Subscribing>& subscribing);
  void draw_back(Source& source, Handle handle, Offset end);

  void start_lag(Source& source, Handle handle, Offset next, bool blocked);
  void note_gone(Source& source);
  void end_lag(Source& source, Handle handle);
  void kick_sweep(Source& source);
  void kick_sweeps(Handle handle);
  void reach(Source& source, Offset next);
  [[nodiscard]] static Offset next_of(const Source& source, const Subscriber& subscriber,
                                      const Lag::At& at);
  void note_places(const Subscriber& subscriber);
  void skip_lost(SourceId id, Task again);
  void skip_tail_to(Source& source, Offset start);
  bool skip_to(Source& source, Handle handle, Offset to, Loss why);
  void tell_lost(const Source& source, Handle handle, Loss why, std::int64_t offsets);

  // The sweeps that serve them (distributor_sweep.cc).
  void call(Source& source, Handle handle);
  void begin_first(Source& source);
  void begin_second(Source& source);
  void board_called(Source& source, Sweep& sweep);
  static void board(Sweep& sweep, Handle handle, Lag::At& at);
  void leave(Source& source, Handle handle, const Subscriber& subscriber, Lag::At& at);
  void close_ranks(Source& source, Sweep& sweep);
  [[nodiscard]] Lag::At* find_lag(const Source& source, Handle handle);
  void post_step(const Source& source, const Sweep& sweep);
  void step(SourceId id, std::uint8_t sweep);
  [[nodiscard]] bool goes_on(Source& source, Sweep& sweep);
  void end_sweep(Source& source, Sweep& sweep);
  void renew_hint(const Source& source, Sweep& sweep);
  void on_swept(SourceId id, std::uint8_t sweep, const Result<stream::ReadAnswer>& answer);

  // Of those that may not be further behind than a limit says (distributor_limits.cc).
  [[nodiscard]] bool keep_limits(SourceId id, std::uint8_t sweep);
  std::vector<Beyond> find_beyond(const Source& source, std::vector<LagLimit>& unknown);
  void ask_floors(SourceId id, std::uint8_t sweep, const std::vector<LagLimit>& limits);
  void on_floors(SourceId id, std::uint8_t sweep, const std::vector<Floor>& floors);

  runtime::Loop& loop_;
  stream::Stream& stream_;
  Router& router_;
  latest::Latest& latest_;
  trace::Tracer& tracer_;
  Subscriptions subscriptions_;
  Snapshots snapshots_;
  Announcements announcements_;
  std::map<Partition, Source> sources_;
  std::uint64_t lives_ = 0;  // of sources, so far

  // One block's deliveries, gathered per subscriber. Reused.
  struct Offered {
    Handle handle;
    std::vector<Delivery> deliveries;
  };
  std::vector<Offered> offered_;
  std::size_t offered_count_ = 0;
  std::vector<std::uint32_t> offered_at_;  // by subscriber index: place in offered_ + 1; 0: none

  Counter& undeliverable_;
  Counter& skipped_retention_;
  Counter& skipped_lag_limit_;
  Counter& lags_;
  Gauge& filters_;
  LogLimit log_limit_;
};

}  // namespace sluice::hub
