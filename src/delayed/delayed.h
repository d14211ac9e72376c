#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/task.h"
#include "hub/handle.h"
#include "hub/hub.h"
#include "hub/message.h"
#include "runtime/loop.h"
#include "table/table.h"

namespace sluice::delayed {

// How many messages wait, on all shards together, and how many may. Any thread.
class Places {
 public:
  explicit Places(std::uint64_t max) : max_(max) {}

  [[nodiscard]] std::uint64_t max() const { return max_; }
  // False: there are as many as there may be.
  bool take() {
    if (used_.fetch_add(1, std::memory_order_relaxed) < max_) return true;
    give_back();
    return false;
  }
  void add(std::uint64_t count) { used_.fetch_add(count, std::memory_order_relaxed); }
  void give_back() { used_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  const std::uint64_t max_;
  std::atomic<std::uint64_t> used_{0};
};

// Messages that are published later than they come, of one shard.
//
// Each is a row of the table `__delayed`, in a slot of this shard, by when it is due. It is kept
// when the row is durable, and the row is removed when its publication is: so it is published at
// least once whatever happens, and twice only if the hub is killed in between. What is due is read
// from the rows portion by portion, oldest first, so memory depends neither on how many wait nor
// for how long. The table is made with the first message of any shard.
//
// Shard:  all calls and callbacks on the loop's; the hub goes after it.
// Time:   the hub's wall clock; never early by it. A clock that is set forward is noticed within a
//         minute.
// Bounds: `places`; 4 MiB of rows on their way to the log (busy, and wait_for_room()); 1,024
//         messages of QoS 1 and 2 being published, then no row is read.
class Delayed final : public hub::PublisherSink, public stream::CatalogueSink {
 public:
  Delayed(const table::Table::Context& context, hub::Hub& hub, std::shared_ptr<Places> places);
  ~Delayed();
  Delayed(const Delayed&) = delete;
  Delayed& operator=(const Delayed&) = delete;

  // Reads what waits; once, before any other call. Errors: those of table::Table.
  void open(Done<void> done);

  // Publishes the message in `delay_s` seconds, or as soon as the hub runs then. Its expiry counts
  // from there. `done` when that is sure; errors: those of table::Table::put. At once, and then
  // nothing was taken: out_of_range (as many wait as may), busy, closed.
  Result<void> publish(const hub::Message& message, std::uint32_t delay_s, Done<void> done);
  // Once, after publish() was busy.
  void wait_for_room(Task task) { room_waiters_.push_back(std::move(task)); }

  // Publishes nothing more. `done` when what was begun is through, and all rows are durable.
  void stop(Done<void> done);

  void on_published(std::uint64_t up_to) override;
  void on_publish_failed(std::uint64_t sequence, const Error& error) override;
  void on_room() override;
  void on_stream_added(const stream::StreamInfo& stream) override;
  void on_stream_removed(const stream::StreamInfo& /*stream*/) override {}

 private:
  enum class State : std::uint8_t { closed, opening, open, stopping };
  static constexpr WallMs never = std::numeric_limits<WallMs>::max();

  // Through the rows of a slot.
  struct Cursor {
    std::uint32_t slot;
    std::string next{};       // rows before it are gone, or being published
    WallMs due = never;       // when the next one is to be looked at
    bool reading = false;     // a portion, from `next` on
    std::string came_back{};  // meanwhile: the first row that is due before others that were seen
  };
  struct RowName {
    std::uint32_t slot;
    std::string key;
  };

  void open_table(Done<void> done);
  void on_table_open(Done<void> done);
  void count(std::size_t cursor, std::string from, Done<void> done);
  void on_counted(std::size_t cursor, const table::Portion& portion, Done<void> done);
  void on_opened(const Result<void>& result);
  void on_not_opened(const Error& error);
  void on_kept(const std::string& key, std::size_t size, const Result<void>& result);
  void tell_room();

  [[nodiscard]] Cursor& cursor_of(std::uint32_t slot);
  void look_at(Cursor& cursor, const std::string& key, WallMs when);
  void look_soon();
  void look();
  void arm();
  void read(std::size_t cursor);
  void on_read(std::size_t cursor, const Result<table::Portion>& portion);
  void publish_due(Cursor& cursor, const table::Portion& portion);
  [[nodiscard]] std::optional<WallMs> publish_row(std::uint32_t slot, const table::Row& row);
  [[nodiscard]] std::optional<WallMs> on_refused(std::uint32_t slot, const table::Row& row,
                                                 const Error& error);
  [[nodiscard]] bool has_place() const;
  void remove(std::uint32_t slot, const std::string& key);
  void drop(std::uint32_t slot, const std::string& key, const Error& error);
  void finish_stop();

  runtime::Loop& loop_;
  hub::Hub& hub_;
  const table::Table::Context context_;
  const std::shared_ptr<Places> places_;
  const std::uint32_t own_slot_;         // where new rows go
  std::unique_ptr<table::Table> table_;  // none: closed
  State state_ = State::closed;
  Done<void> stopped_;

  std::size_t bytes_ = 0;  // of rows on their way to the log
  std::vector<Task> room_waiters_;
  std::uint64_t next_id_ = 1;  // above those of rows that are there

  std::vector<Cursor> cursors_;  // of the slots of this shard that may have rows
  hub::Handle publisher_;
  std::uint64_t sequence_ = 0;
  std::map<std::uint64_t, RowName> publishing_;  // by sequence
  std::set<std::string, std::less<>> publishing_keys_;
  bool waits_for_room_ = false;  // of the hub
  bool look_posted_ = false;
  runtime::TimerId timer_ = runtime::TimerId::none;
  WallMs timer_at_ = never;
  hub::Properties properties_;  // scratch

  Gauge& waiting_;
  Counter& published_;
  Counter& dropped_;
  LogLimit log_limit_;
};

}  // namespace sluice::delayed
