#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "runtime/mailbox.h"
#include "stream/stream.h"
#include "table/table.h"

namespace sluice::latest {

// Where topics live; known above this module, asked on the shard's own thread.
class Topics {
 public:
  virtual ~Topics() = default;
  // What stands before the record key in the topics of a stream; empty: of one stream only, which
  // has all topics that no other has.
  [[nodiscard]] virtual std::string prefix_of(const stream::StreamInfo& stream) const = 0;
  // The partition to which a topic's messages go now.
  [[nodiscard]] virtual Result<Partition> partition_of(std::string_view topic) = 0;
};

struct Extent {
  StreamId stream;
  std::uint32_t partitions = 0;
};

// A part of a snapshot: retained messages of one partition that a filter covers.
struct Want {
  Partition partition;
  std::string filter;  // valid
  std::string from;    // Portion::next of the portion before; empty: the beginning
  Offset before;       // only messages below it: what is newer comes by the log
  std::size_t bytes_max = 256 << 10;
};

struct Portion {
  // The offset of a message that was published when its topic lived in another partition.
  static constexpr Offset elsewhere{std::numeric_limits<std::int64_t>::max()};

  // The messages as a batch that was never appended: offsets count from 0. None: no message.
  stream::BlockRef block;
  std::vector<Offset>
      published_at{};               // by record of the block: its offset in the log, or elsewhere
  std::optional<std::string> next;  // where to go on; none: that was all
};
// Where a portion would go on that ended before this record of its block.
std::string place_of(const log::Block& block, const log::Record& record);

class Latest;

// The retained messages of all shards, for what they must ask each other. Complete before the loops
// run.
class Group {
 public:
  explicit Group(runtime::Mailboxes& mailboxes) : mailboxes_(mailboxes) {}
  void add(Latest& latest) { shards_.push_back(&latest); }  // in the order of the shards
  [[nodiscard]] runtime::Mailboxes& mailboxes() { return mailboxes_; }
  [[nodiscard]] Latest& on(ShardId shard) { return *shards_[shard.value]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(shards_.size()); }

 private:
  runtime::Mailboxes& mailboxes_;
  std::vector<Latest*> shards_;
};

// The newest message of each topic that was published with the retain flag (MQTT 5, section
// 3.3.1.3), for the data partitions whose home is this shard: a fold of them, kept in the table
// `__retained`.
//
// A block is folded before anybody hears that it is visible, so whoever has seen a message or its
// acknowledgement finds it here. After a crash the fold goes on from the position that lies in the
// table beside the rows, by reading the data partitions. The rows of a topic are where it is routed
// now; when a stream is made or gets more partitions they move, when it is removed they go.
//
// Shard: all calls and callbacks on its loop; want of other shards' partitions goes there by
// mailbox. Failure: without its table the process can't serve (open() says why); a record that
// can't be read is as if it were not retained. Format: docs/formats/retained.md
class Latest {
 public:
  Latest(Group& group, const table::Table::Context& context);
  ~Latest();

  // Folds what is there and follows the rest. `topics` outlives this. Before `done` nothing else
  // may be called. Errors: those of Table::open and Table::scan.
  void open(Topics& topics, Done<void> done);

  // False: certainly no partition of the stream has retained messages. Known at once, where all of
  // them are on this shard.
  [[nodiscard]] bool may_have(const stream::StreamInfo& stream) const;
  // Runs `done` when every shard has its partitions of the streams in place: it knows all of them,
  // and has moved away what belongs elsewhere. A snapshot begins with this.
  void settle(std::vector<Extent> streams, Task done);
  // The next portion of a snapshot, after settle(): of 1,000 messages and Want::bytes_max, or one.
  // It may be empty and yet have a `next`. A partition that is gone has no messages. One at a time
  // for each who asks. Errors: those of Table::scan.
  void scan(Want want, Done<Portion> done);

  // Everything folded is durable, and with it how far the fold is; nothing is folded from then on.
  void stop(Done<void> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::latest
