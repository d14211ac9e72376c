#pragma once

#include <cstdint>
#include <string>

#include "base/task.h"
#include "runtime/loop.h"
#include "sessions/evidence.h"
#include "sessions/home.h"
#include "table/table.h"

namespace sluice::sessions {

// Goes through the sessions of one shard, a portion at a time: the first pass sees to what an
// earlier process has left, every one to what is expired. Counts the sessions as it passes.
class Sweep {
 public:
  Sweep(const Place& place, Home& home) : place_(place), home_(home) {}
  ~Sweep() { stop(); }
  Sweep(const Sweep&) = delete;
  Sweep& operator=(const Sweep&) = delete;

  // `first_done` runs once when all that was left is seen to, as rows put behind.
  void start(Task first_done);
  void stop();

 private:
  void wake(runtime::Duration delay);
  void sweep();
  void on_portion(Result<table::Portion> portion);
  void look_at(const table::Row& row);
  void end_look(const Result<void>& result);
  void end_pass();

  const Place& place_;
  Home& home_;
  Task first_done_;
  std::uint32_t slot_ = 0;
  std::string from_;
  std::string next_;  // where the portion ends; empty: with the slot
  std::int64_t counted_ = 0;
  bool failed_ = false;      // something of this pass is to be done again
  std::size_t looking_ = 0;  // at sessions of this portion
  runtime::TimerId timer_ = runtime::TimerId::none;
  bool stopped_ = false;
};

}  // namespace sluice::sessions
