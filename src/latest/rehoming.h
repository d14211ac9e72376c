#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "base/task.h"
#include "latest/folds.h"
#include "latest/latest.h"
#include "latest/row.h"
#include "table/table.h"

namespace sluice::latest {

// Brings rows to where their topics are routed now, after a stream was made or got more partitions.
//
// The shard that has a row sends it to the shard of its new partition, in batches, and removes it
// when it is durable there; until then it is in both places, and a crash begins anew. A row that
// came this way never replaces one of a record of its new partition.
class Rehoming {
 public:
  // A row on its way. Without a message: the topic was cleared.
  struct Move {
    Partition to;
    std::string row_key;
    Buffer row;
  };

  Rehoming(Place& place, runtime::Mailboxes& mailboxes, Folds& folds,
           std::function<Rehoming&(ShardId)> on_shard);

  // Looks through the rows of a partition whose ordered keys begin with `begin` for those that
  // belong elsewhere.
  void check(Partition partition, std::string begin);
  // A row has been put by the fold: one that is being moved is not removed then.
  void on_row(Partition partition, std::string_view record_key);
  // Nothing of this stream waits to be looked through or moved.
  [[nodiscard]] bool idle(StreamId stream) const;
  [[nodiscard]] bool idle() const { return checks_.empty(); }
  void forget(StreamId stream);
  // Runs whenever a check has ended.
  void on_progress(Task callback) { progressed_ = std::move(callback); }

  // On the shard of the new partitions. Errors: not_found, when one is not known here (yet); those
  // of the table.
  void take(std::vector<Move> moves, Done<void> done);

 private:
  struct Check {
    Partition partition;
    std::string begin;
    std::string from;          // row key
    std::uint32_t partitions;  // of the stream, when the check was asked for
  };
  struct Sending;
  struct Taking;

  void start();
  void step();
  void on_rows(const Result<table::Portion>& portion);
  void send(std::vector<Move> moves, ShardId to, const std::shared_ptr<Sending>& sending);
  void on_sent(const Sending& sending);
  void go_on(const std::optional<std::string>& next);
  void retry_later();
  void look(Move move, const std::shared_ptr<Taking>& taking);
  void take_one(Move move, const std::optional<Buffer>& found);
  void flush(const std::shared_ptr<Taking>& taking);

  Place& place_;
  runtime::Mailboxes& mailboxes_;
  Folds& folds_;
  std::function<Rehoming&(ShardId)> on_shard_;
  std::deque<Check> checks_;  // the first is under way
  bool under_way_ = false;
  std::unordered_set<std::string> moving_;  // row keys, sent and not yet removed
  Task progressed_;
};

}  // namespace sluice::latest
