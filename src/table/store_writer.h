#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/task.h"
#include "log/block.h"
#include "log/helper.h"
#include "runtime/loop.h"
#include "table/store.h"

namespace sluice::table {

// Brings blocks of a table's stream to the store: one write at a time on a helper thread, what
// comes meanwhile makes the next one. A write that fails is tried again each second; until then the
// rows stay where they are, in the overlay.
//
// Bound: none of its own; Table counts unstored_bytes() and refuses puts.
class StoreWriter {
 public:
  using OnStored = std::move_only_function<void(std::uint32_t slot, Offset until)>;

  // `on_stored` runs on the loop for each slot of a write.
  StoreWriter(runtime::Loop& loop, std::shared_ptr<Store> store, std::string table,
              Metrics& metrics, OnStored on_stored);
  ~StoreWriter();
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  struct Item {
    Partition partition;  // of the table's stream: its index is the slot
    Offset until;         // where the fold stands afterwards
    log::BlockRef block;
    bool clear = false;  // all rows of the slot go first; then there may be no block
  };
  void add(Item item);
  [[nodiscard]] std::size_t unstored_bytes() const { return unstored_bytes_; }
  // Runs once when nothing is left to write; at once if that is so.
  void on_idle(Task task);
  // As on_idle, for the end: a write that fails ends it with that error.
  void finish(Done<void> done);

 private:
  using Items = std::shared_ptr<const std::vector<Item>>;

  void start();
  void write(const Items& items);
  void set_unstored(std::size_t bytes);
  void on_failed(const Items& items, const Error& error);
  void on_written(const Items& items);

  runtime::Loop& loop_;
  const std::shared_ptr<Store> store_;
  const std::string table_;
  Gauge& unstored_;
  Counter& failures_;
  OnStored on_stored_;
  std::vector<Item> waiting_;
  bool writing_ = false;
  std::size_t unstored_bytes_ = 0;
  runtime::TimerId retry_ = runtime::TimerId::none;
  bool failing_ = false;
  std::vector<Task> idle_;
  Done<void> finished_;
  std::optional<log::Helper> helper_;  // made for the first write
};

}  // namespace sluice::table
