#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "log/block.h"
#include "log/key_hint.h"
#include "log/log.h"

namespace sluice::stream {

using log::Appended;
using log::Block;
using log::BlockRef;
using log::Bounds;
using log::KeyHint;
using log::KeyHintRef;
using log::ReadAnswer;

// What a stream was created with. Settings carry the names that Kafka gives topic configurations
// (settings.h).
struct StreamConfig {
  std::uint32_t partitions = 1;
  std::int64_t retention_ms = -1;     // -1: for ever
  std::int64_t retention_bytes = -1;  // of the stream, divided over its partitions; -1: no limit
  std::int64_t segment_bytes = -1;    // -1: the server's default
  std::int64_t segment_ms = 604'800'000;      // an older segment is closed by the next append
  std::int64_t max_message_bytes = 16 << 20;  // of one record batch
  bool compact = false;  // cleanup.policy holds "compact": the newest record of each key stays
  bool expire = true;    // cleanup.policy holds "delete": retention applies
  std::int64_t delete_retention_ms = 86'400'000;  // how long a compacted tombstone stays
  std::int64_t min_compaction_lag_ms = 0;         // younger records are not compacted
  bool wildcard = false;  // covered by MQTT filters that begin with a wildcard
  bool internal = false;  // sluice's own; hidden from routes, refused to clients as a target
  friend bool operator==(const StreamConfig&, const StreamConfig&) = default;
};

struct StreamInfo {
  std::string name;  // as Kafka allows: [a-zA-Z0-9._-]{1,249}, not "." or ".."
  StreamId id;
  StreamConfig config;
};

Result<void> validate_stream_name(std::string_view name);

// Told on the sink's own shard, after the change is durable. References are valid during the call.
class CatalogueSink {
 public:
  virtual void on_stream_added(const StreamInfo& stream) = 0;
  virtual void on_stream_removed(const StreamInfo& stream) = 0;
  // Other settings, or more partitions.
  virtual void on_stream_changed(const StreamInfo& /*before*/, const StreamInfo& /*now*/) {}

 protected:
  ~CatalogueSink() = default;
};

// One shard's copy of the catalogue.
class Catalogue {
 public:
  Catalogue() = default;
  Catalogue(Catalogue&&) = default;
  Catalogue& operator=(Catalogue&&) = delete;

  [[nodiscard]] const StreamInfo* find(std::string_view name) const;
  [[nodiscard]] const StreamInfo* find(StreamId id) const;
  [[nodiscard]] const std::map<std::string, StreamInfo, std::less<>>& all() const {
    return by_name_;
  }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }  // rises with each change

  void add(StreamInfo stream);  // its name and id are not there yet
  void change(std::string_view name, const StreamConfig& config);  // of a stream that is there
  void remove(std::string_view name);

 private:
  std::map<std::string, StreamInfo, std::less<>> by_name_;
  std::unordered_map<StreamId, const StreamInfo*> by_id_;  // into by_name_
  std::uint64_t generation_ = 0;
};

// Follows the end of a partition. Called on the sink's shard.
class TailSink {
 public:
  // Blocks in order, each continuing where the last one ended (holes apart); records indexed if
  // that was possible.
  virtual void on_block(Partition partition, const BlockRef& block) = 0;
  // The tail was given up because credit ran out, just before `at`: read() from there, then tail()
  // again.
  virtual void on_behind(Partition partition, Offset at) = 0;

 protected:
  ~TailSink() = default;
};

using log::CommitSink;

enum class Start : std::uint8_t { earliest, latest, at_time, max_time };

struct Resolved {
  Offset next;
  WallMs timestamp = -1;  // of the record found by time; -1 otherwise
};

enum class Want : std::uint8_t { batches, records };

enum class WaitId : std::uint64_t { none = 0 };

// For choosing a plan, never for correctness.
struct Caps {
  bool key_index = false;  // reads leave out what a hint excludes
  bool zero_copy = false;
  bool atomic_append = false;
};

// The streams of a hub as one shard sees them. All layers above work on this alone; none may know
// which backend is below: the embedded log (embedded.h) or an existing Kafka cluster.
//
// Shard: one object per shard; calls and callbacks on that shard. Callbacks may run within the
// call. What a backend may do, and callers must bear: offsets come late (append completes with
// them); own writes are seen only when the tail or a read hands them back; blocks need not be those
// that were appended; holes are legal.
class Stream {
 public:
  virtual ~Stream() = default;

  [[nodiscard]] virtual Caps caps() const = 0;

  [[nodiscard]] virtual const Catalogue& catalogue() const = 0;
  // From now on; the sink stays for the life of the stream.
  virtual void watch_catalogue(CatalogueSink& sink) = 0;
  // Errors: exists, invalid (name or configuration), disk_full, io. Durable, and in catalogue() of
  // all shards, when done.
  virtual void create(std::string name, StreamConfig config, Done<StreamInfo> done) = 0;
  // Errors: not_found, invalid for an internal stream, disk_full, io. All shards have forgotten the
  // stream when done.
  virtual void remove(std::string name, Done<void> done) = 0;
  // Other settings, or more partitions (never fewer; keys may move to other ones). Errors:
  // not_found, invalid, disk_full, io. Durable, and in catalogue() of all shards, when done.
  virtual void alter(std::string name, StreamConfig config, Done<StreamInfo> done) = 0;
  // The shard on which a partition is written, and its state is kept: that of slot_of(partition).
  [[nodiscard]] virtual ShardId home(Partition partition) const = 0;

  // Calls for one partition are appended in call order; `done` runs when durable or failed, in that
  // order too. Errors: busy (full: said within the call, nothing was taken; see on_room),
  // disk_full, not_found, closed, io, sequence_gap, producer_fenced, too_large; invalid for a
  // record without a key in a compacted stream (a compressed batch need not be looked into).
  // `block` is a validated batch that nobody else changes.
  virtual void append(Partition partition, std::shared_ptr<Block> block, Done<Appended> done) = 0;
  [[nodiscard]] virtual bool has_room(Partition partition) const = 0;
  virtual void on_room(Partition partition, Task callback) = 0;

  // These and tail() may also be refused as busy, at once, when a great many are under way.
  virtual void bounds(Partition partition, Done<Bounds> done) = 0;
  // `when` is for at_time only. at_time without such a record: {visible end, -1}.
  virtual void resolve(Partition partition, Start start, WallMs when, Done<Resolved> done) = 0;
  // Where the newest `bytes` bytes begin, as they are stored; perhaps some 64 KiB, or a batch, too
  // low. The start if there are fewer. Errors: unsupported where the backend can't tell.
  virtual void resolve_newest(Partition partition, std::uint64_t bytes, Done<Offset> done) = 0;
  // Whole batches from the one that holds `from`, as log::Log::read says. No blocks and next ==
  // from: at the end. out_of_range: `from` lies below the start (the caller counts what is lost and
  // goes on from bounds().start) or beyond the visible end. With Want::records the blocks are
  // indexed (Block::records(); empty where that failed); that is done by the partition's owner, so
  // that no two shards do it at once.
  // With a hint the answer may leave out batches without a wanted record, and then `next` lies
  // beyond them; the caller looks at what it gets as if there were none. Reads that want the same
  // share one hint, by which a backend may remember what it has found out.
  virtual void read(Partition partition, Offset from, std::size_t bytes_max, Want want,
                    KeyHintRef hint, Done<ReadAnswer> done) = 0;
  void read(Partition partition, Offset from, std::size_t bytes_max, Want want,
            Done<ReadAnswer> done) {
    read(partition, from, bytes_max, want, nullptr, std::move(done));
  }

  // Follows the end of a partition; at most one sink per shard and partition. The answer carries
  // the exact next offset: every record from there on comes through the sink, whatever is appended
  // meanwhile. Credit is the backend's: a shard that takes too much gets on_behind. When the
  // partition is deleted, the tail ends without a word (CatalogueSink tells). untail() before the
  // answer turns that into Errc::closed.
  virtual void tail(Partition partition, TailSink& sink, Done<Offset> done) = 0;
  virtual void untail(Partition partition) = 0;

  // Raises the start of a partition to `before` (at most the visible end); durable when done, with
  // the new start. Errors: not_found, out_of_range, io, unsupported.
  virtual void delete_records(Partition partition, Offset before, Done<Offset> done) = 0;
  // Retention and compaction leave what lies at or above `from` alone until the next call: somebody
  // has yet to fold it. On the partition's home; forgotten at a restart. A hint to backends that
  // don't delete themselves.
  virtual void hold(Partition partition, Offset from) = 0;

  // For state that is folded from a partition, on its home only: from the answered offset on every
  // block is shown to `sink` as soon as it is visible, before any tail, wait, or answer to append()
  // knows of it. So who has seen an acknowledgement finds it in the state. The sink takes all. One
  // sink per partition; it ends with the partition.
  virtual void fold(Partition partition, CommitSink& sink, Done<Offset> done) = 0;

  // Runs `callback` once when the visible end is beyond `next`, or the partition is gone; at once
  // if it is so now. It may also run without cause: look again. For long polls.
  virtual WaitId wait_beyond(Partition partition, Offset next, Task callback) = 0;
  virtual void cancel(WaitId wait) = 0;
};

}  // namespace sluice::stream
