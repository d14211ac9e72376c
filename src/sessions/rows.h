#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/task.h"
#include "sessions/record.h"
#include "table/table.h"

namespace sluice::sessions {

// The rows of the sessions whose home is this shard, read and written as what they are.
//
// Bounds: so many reads of the table at a time that it is never too busy for one; the others wait
// in their order. Each caller has few: a connection, or the portion of a sweep. Failure: errors are
// those of the table. A row that can't be decoded counts as not there; it is logged and counted.
class Rows {
 public:
  Rows(table::Table& table, Metrics& metrics);
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  // As of Table, with account kept of what is under way.
  void put(std::uint32_t slot, std::string key, std::optional<Buffer> value, Done<void> done);
  void put_behind(std::uint32_t slot, std::string key, std::optional<Buffer> value);
  // Certainly no row is there or on its way.
  [[nodiscard]] bool empty(std::uint32_t slot) const;
  // Runs `task` when what was put to the slot so far is durable or has failed: what is read from
  // then on shows it.
  void when_settled(std::uint32_t slot, Task task);

  void load_meta(const std::string& client_id, Done<std::optional<Meta>> done);
  // Those of another life count as not there; filters of another life are removed some time later.
  void load_progress(const std::string& client_id, Uid uid, Done<Progress> done);
  void load_filters(const std::string& client_id, Uid uid, Done<std::vector<Filter>> done);
  // All rows of the session go at once; its meta row is replaced if there is another one.
  void erase(const std::string& client_id, std::optional<Buffer> meta, Done<void> done);

 private:
  struct Slot {
    std::uint64_t put = 0;  // so far
    std::uint64_t answered = 0;
    std::deque<std::pair<std::uint64_t, Task>> waiting;  // until `answered` is as much
  };
  struct FilterScan;

  void on_answer(Slot& slot, bool was_taken);
  void get(const std::string& client_id, std::string key, Done<std::optional<Buffer>> done);
  void scan(std::uint32_t slot, table::Range range, Done<table::Portion> done);
  // `read` calls end_read() when its answer is there.
  void begin_read(Task read);
  void begin_reads();
  void end_read();
  void scan_filters(const std::shared_ptr<FilterScan>& scan);
  void note_unreadable(std::string_view client_id, const Error& error);

  table::Table& table_;
  Counter& unreadable_;
  std::array<Slot, slot_count> slots_;
  std::size_t reading_ = 0;
  std::deque<Task> reads_waiting_;
  bool beginning_ = false;
};

// Runs `done` with the first error when `count` answers have come.
class Together {
 public:
  Together(std::size_t count, Done<void> done)
      : state_(std::make_shared<State>(State{count, std::move(done), {}})) {}

  [[nodiscard]] Done<void> answer() const {
    return [state = state_](Result<void> result) {
      if (state->first && !result) state->first = std::move(result);
      if (--state->open == 0) state->done(std::move(state->first));
    };
  }

 private:
  struct State {
    std::size_t open;
    Done<void> done;
    Result<void> first;
  };
  std::shared_ptr<State> state_;
};

}  // namespace sluice::sessions
