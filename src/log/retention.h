#pragma once

#include <vector>

#include "base/ids.h"
#include "log/partition_log.h"

namespace sluice::log {

// Drops the partition's oldest segments as far as its options say and moves its start; returns
// them; their files may go once a checkpoint does not name them any more. The segment that is
// written to goes only when it is too old as a whole and nothing waits to be written; when it alone
// passes a limit it is marked to be rolled.
std::vector<Segment> apply_retention(PartitionLog& partition, WallMs now);

}  // namespace sluice::log
