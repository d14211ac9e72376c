#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/task.h"
#include "base/together.h"
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
  void load_filter(const std::string& client_id, Uid uid, const std::string& text,
                   Done<std::optional<Filter>> done);
  void load_filters(const std::string& client_id, Uid uid, Done<std::vector<Filter>> done);
  // All rows of the session go at once; its meta row is replaced if there is another one.
  void erase(const std::string& client_id, std::optional<Buffer> meta, Done<void> done);
  void load_group(const std::string& text, Done<std::optional<GroupState>> done);

  // Told of shared subscriptions that went with their session, once that is durable.
  using OnShareGone = std::function<void(const std::string& text, ShareId share)>;
  void set_on_share_gone(OnShareGone on_share_gone) { on_share_gone_ = std::move(on_share_gone); }
  void tell_share_gone(const std::string& text, ShareId share) const;

 private:
  struct Slot {
    std::uint64_t put = 0;  // so far
    std::uint64_t answered = 0;
    std::deque<std::pair<std::uint64_t, Task>> waiting;  // until `answered` is as much
  };
  struct FilterScan;
  // The filters of a life, and the shared ones of others, whose rows are on their way out.
  struct Scanned {
    std::vector<Filter> found{};
    std::vector<Filter> shares_gone{};
  };

  void on_answer(Slot& slot, bool was_taken);
  void get(const std::string& client_id, std::string key, Done<std::optional<Buffer>> done);
  void scan(std::uint32_t slot, table::Range range, Done<table::Portion> done);
  // `read` calls end_read() when its answer is there.
  void begin_read(Task read);
  void begin_reads();
  void end_read();
  void start_scan(const std::string& client_id, Uid uid, Done<Scanned> done);
  void scan_filters(const std::shared_ptr<FilterScan>& scan);
  void tell_gone(const std::vector<Filter>& shares) const;
  void note_unreadable(std::string_view of, const Error& error);

  table::Table& table_;
  Counter& unreadable_;
  OnShareGone on_share_gone_;
  std::array<Slot, slot_count> slots_;
  std::size_t reading_ = 0;
  std::deque<Task> reads_waiting_;
  bool beginning_ = false;
};

}  // namespace sluice::sessions
