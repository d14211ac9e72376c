#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/disk.h"
#include "base/metrics.h"
#include "base/random.h"
#include "log/log.h"
#include "runtime/loop.h"
#include "runtime/mailbox.h"
#include "stream/backend.h"

namespace sluice::stream {

// What the backend does without being told; tests say otherwise. The limits are for what one shard
// may have under way to another one.
struct EmbeddedTuning {
  std::uint64_t append_credit =
      4 << 20;                         // bytes of memory of batches not yet answered; beyond: busy
  std::int64_t tail_credit = 4 << 20;  // bytes of blocks not yet taken; beyond: on_behind
  std::uint32_t requests = 4096;       // not yet answered; beyond: busy
  Random ids = Random::from_os();      // of streams; a seed makes a simulation repeatable
};

// The embedded backend: streams on our own log, the partitions spread over the shards.
//
// The catalogue is the fold of the internal stream `__catalogue` (id 1, one partition, compacted),
// which is written by its owning shard alone; a change is told to all shards once it is
// durable there. Life: construct before the loops run (recovery blocks); stream(i) is used on shard
// i only; stop() on shard 0; destroy after the loops have stopped, before the mailboxes and the
// loops.
class EmbeddedBackend final : public Backend {
 public:
  struct Shard {
    runtime::Loop* loop = nullptr;
    Metrics* metrics = nullptr;
  };
  // Errors of recovery, and malformed or unsupported for a catalogue that cannot be read.
  static Result<std::unique_ptr<EmbeddedBackend>> open(Disk& disk, const log::Options& options,
                                                       const std::vector<Shard>& shards,
                                                       runtime::Mailboxes& mailboxes,
                                                       EmbeddedTuning tuning = {});
  ~EmbeddedBackend() override;

  [[nodiscard]] Stream& stream(ShardId shard) override;
  [[nodiscard]] Health health(ShardId shard) override;
  void stop(Done<void> done) override;  // closes the logs of all shards

 private:
  EmbeddedBackend();
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::stream
