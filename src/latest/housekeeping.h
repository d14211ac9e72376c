#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "latest/folds.h"
#include "table/table.h"

namespace sluice::latest {

// Removes what nobody asks for any more, a portion at a time: rows that have expired, marks of
// topics that were cleared, rows of streams that were removed. Counts the messages as it passes.
class Housekeeping {
 public:
  // How long a cleared topic may be needed to hold back an older message that is being moved.
  static constexpr runtime::Duration keep_cleared = std::chrono::minutes(10);

  Housekeeping(Place& place, const Folds& folds, Metrics& metrics);
  ~Housekeeping();

  void start();
  // All rows of a partition that is no more, its position last.
  void drop(Partition partition);
  void stop();

 private:
  void wake(runtime::Duration delay);
  void turn();
  void begin_pass();
  void sweep();
  void on_swept(const Result<table::Portion>& portion);
  [[nodiscard]] bool outdated(const table::Row& row) const;
  void clear_dropped();
  void on_dropped(const Result<table::Portion>& portion);

  Place& place_;
  const Folds& folds_;
  Gauge& entries_;
  std::deque<Partition> dropped_;
  std::vector<Partition> to_sweep_;  // of this pass
  std::string from_;                 // in the last of them
  std::int64_t counted_ = 0;         // in this pass
  runtime::TimerId timer_ = runtime::TimerId::none;
  bool stopped_ = false;
};

}  // namespace sluice::latest
