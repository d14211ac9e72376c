#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/ids.h"
#include "base/result.h"
#include "log/state.h"

// Checkpoints: docs/formats/checkpoint.md.
namespace sluice::log {

struct Checkpoint {
  std::uint64_t run = 0;    // of the hub that wrote it
  std::uint32_t shard = 0;  // covers the partitions that `shard` of `shards` owns
  std::uint32_t shards = 1;
  bool clean = false;   // written by an orderly stop: nothing came after it
  std::string boot_id;  // of the machine when the run began
  // Where the journal goes on: what came before is in the segments. Salt 0: from its beginning.
  struct Position {
    std::uint64_t salt = 0;
    std::uint64_t at = 0;
    std::uint64_t sequence = 0;
  } position;
};

// Builds the file's bytes partition by partition, from states that stay where they are.
class CheckpointEncoder {
 public:
  explicit CheckpointEncoder(const Checkpoint& checkpoint);
  // `end` instead of state.end, and producers' batches below it only.
  void add(const PartitionState& state, Offset end);
  Buffer finish();

 private:
  Buffer bytes_;
  Writer writer_{bytes_};
  std::uint32_t count_ = 0;
};

struct DecodedCheckpoint {
  Checkpoint checkpoint;
  std::vector<PartitionState> partitions;
};
// Errc::corrupt unless every byte is as it was written.
Result<DecodedCheckpoint> decode_checkpoint(Bytes bytes);

}  // namespace sluice::log
