#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/task.h"
#include "runtime/loop.h"
#include "stream/stream.h"
#include "table/row.h"

namespace sluice::table {

class Store;  // store.h: where the rows of all tables of a process lie

// State that is the fold of a compacted internal stream: one shard's part of it.
//
// The stream has one partition per slot (base/ids.h); a row is the newest record of its key there.
// Rows lie in RocksDB together with the offset up to which they were folded, so a restart folds
// only what came after; if they are lost, or their offset is beyond the log's end, they are folded
// again from the stream's start. The table is the only writer of its stream.
//
// Shard: all calls and callbacks on its loop, for slots whose home is this shard. No call blocks;
// callbacks may run within the call, and not after the table is gone. The stream outlives the
// table, or has come to rest before the table goes: after stop(), or when the loop turns no more.
class Table {
 public:
  struct Context {
    runtime::Loop* loop = nullptr;
    stream::Stream* stream = nullptr;
    std::shared_ptr<Store> store;
    Metrics* metrics = nullptr;
    ShardId shard;
    std::uint32_t shards = 1;
  };

  // `name` is that of the stream, such as "__groups".
  Table(const Context& context, std::string name);
  ~Table();

  // Makes the stream if it is not there, and folds what the store has not seen. Before `done` no
  // other call is allowed. Errors: those of the stream and the store.
  void open(Done<void> done);

  // Sets a row, or removes it (no value). Puts of a turn are appended as one batch per slot; the
  // row can be read once it is durable, and then `done` runs. Errors: those of Stream::append, busy
  // excepted: then the put waits for room; busy, at once: 16 MiB wait already. What is put to a
  // slot takes effect in call order, whether put or put_behind.
  void put(std::uint32_t slot, std::string key, std::optional<Buffer> value, Done<void> done);

  // For state that is derived from something that is durable already: the row can be read at once.
  // Rows of a slot that were put within some 100 ms are appended as one atomic batch, the newest of
  // each key. After a crash the newest batches may be missing, but never a part of one. Above 8
  // MiB, when the stream took nothing for long, rows are divided in the order in which they were
  // put last: so a row put last in each turn never gets ahead of the others.
  void put_behind(std::uint32_t slot, std::string key, std::optional<Buffer> value);
  // Runs `done` when all that was put behind so far is durable in the stream; what can't be
  // appended now is tried again, without end.
  void flush(std::uint32_t slot, Done<void> done);

  // One row, or none. Memory, block cache or disk: never on the loop. Errors: io, corrupt; busy at
  // once when 4,096 reads are under way.
  void get(std::uint32_t slot, std::string key, Done<std::optional<Buffer>> done);
  // A portion of a range as it is when `done` runs. Errors as of get().
  void scan(std::uint32_t slot, Range range, Done<Portion> done);
  // True when the slot certainly has no rows, so that nobody need wait for a scan.
  [[nodiscard]] bool empty(std::uint32_t slot) const;

  // Makes everything durable in stream and store; nothing may be put afterwards. Errors: the first
  // of the stream or store; what was put behind is lost then.
  void stop(Done<void> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::table
