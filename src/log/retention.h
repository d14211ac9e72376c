#pragma once

#include <vector>

#include "base/ids.h"
#include "log/partition_log.h"

namespace sluice::log {

// Drops the partition's oldest segments as far as its options say and nobody holds them, and those
// of which every record has been deleted; moves its start. Returns them: their files may go once a
// checkpoint does not name them any more. The segment that is written to goes only as a whole and
// when nothing waits to be written; when it alone passes a limit, or its age, it is marked to be
// rolled.
std::vector<Segment> apply_retention(PartitionLog& partition, WallMs now);

// The same for records that were deleted alone: those below the partition's start.
std::vector<Segment> drop_deleted(PartitionLog& partition);

}  // namespace sluice::log
