#pragma once

#include <memory>
#include <string>

#include "latest/folds.h"
#include "latest/key_filter.h"
#include "latest/latest.h"
#include "log/record_batch.h"
#include "table/table.h"

namespace sluice::latest {

// Gathers one portion of a snapshot, on the shard that has the partition. Expired messages that it
// meets are removed. Lives until it has answered.
class Scan final : public std::enable_shared_from_this<Scan> {
 public:
  Scan(Place& place, Want want, std::string_view prefix, Done<Portion> done);
  void start() { step(); }

 private:
  void step();
  void on_rows(table::Portion portion);
  // False: the portion ends before this row.
  [[nodiscard]] bool take(const table::Row& row);
  void choose_pace(std::size_t looked_at, std::size_t useful);
  void answer(std::optional<std::string> next);

  Place& place_;
  Want want_;
  KeyFilter filter_;
  Done<Portion> done_;
  std::string from_;  // ordered key
  std::string rows_;  // what the row keys begin with
  std::string until_;
  std::size_t pace_;  // rows that are asked of the table at a time
  std::size_t steps_ = 0;
  WallMs first_timestamp_ = 0;
  log::BatchBuilder builder_;
  std::vector<Offset> published_at_;
};

}  // namespace sluice::latest
