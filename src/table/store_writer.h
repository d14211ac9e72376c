#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/logger.h"
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
              OnStored on_stored);
  ~StoreWriter();
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  struct Item {
    Partition partition;  // of the table's stream: its index is the slot
    Offset from;          // records of `block` below it are left out
    Offset until;         // where the fold stands afterwards
    log::BlockRef block;
    bool clear = false;  // all rows of the slot go first; then there may be no block
  };
  void add(Item item);
  [[nodiscard]] std::size_t unstored_bytes() const { return unstored_bytes_; }
  // Runs once when nothing is left to write; at once if that is so.
  void on_idle(Task task);

 private:
  using Items = std::shared_ptr<const std::vector<Item>>;

  void start();
  void write(Items items);
  void finish(const Items& items, const Result<void>& written);

  runtime::Loop& loop_;
  const std::shared_ptr<Store> store_;
  const std::string table_;
  OnStored on_stored_;
  std::vector<Item> waiting_;
  bool writing_ = false;
  std::size_t unstored_bytes_ = 0;
  runtime::TimerId retry_ = runtime::TimerId::none;
  LogLimit failures_{1};
  std::vector<Task> idle_;
  log::Helper helper_;
};

}  // namespace sluice::table
