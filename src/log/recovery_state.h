#pragma once

#include <map>

#include "log/checkpoint.h"
#include "log/log.h"
#include "log/state.h"

namespace sluice::log {

constexpr const char* recovered_path = "checkpoint/recovered";

// What recovery hands to the logs of all shards; each takes its partitions out.
struct RecoveredState {
  Disk* disk = nullptr;
  Options options;
  Checkpoint origin;  // what the run's checkpoints have in common
  std::map<Partition, PartitionState> partitions;
  Recovery::Damage damage;
};

}  // namespace sluice::log
