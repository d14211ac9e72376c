#pragma once

#include <memory>
#include <vector>

#include "base/disk.h"
#include "base/metrics.h"
#include "log/log.h"
#include "runtime/loop.h"
#include "runtime/mailbox.h"
#include "stream/stream.h"

namespace sluice::stream {

// The embedded backend: streams on our own log, the partitions spread over the shards.
//
// The catalogue is the fold of the internal stream `__catalogue` (id 1, one partition, kept for ever), which is
// written by its owning shard alone; a change is told to all shards once it is durable there.
// Life: construct before the loops run (recovery blocks); streams()[i] is used on shard i only; stop() on shard 0;
// destroy after the loops have stopped.
class EmbeddedBackend {
 public:
  struct Shard {
    runtime::Loop* loop = nullptr;
    Metrics* metrics = nullptr;
  };
  static Result<std::unique_ptr<EmbeddedBackend>> open(Disk& disk, const log::Options& options,
                                                       std::vector<Shard> shards, runtime::Mailboxes& mailboxes);
  ~EmbeddedBackend();

  [[nodiscard]] Stream& stream(ShardId shard);
  [[nodiscard]] log::Log::Health health(ShardId shard) const;  // on that shard
  // On shard 0: everything appended is made durable on all shards and the logs are closed; then `done`.
  void stop(Done<void> done);

 private:
  EmbeddedBackend();
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::stream
