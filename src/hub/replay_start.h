#pragma once

#include <vector>

#include "base/ids.h"
#include "base/start_point.h"
#include "base/task.h"
#include "stream/stream.h"

namespace sluice::hub {

// The places in all partitions of a stream, by their index, that `from` means. A time: of the first
// record that is not older, else the end. An offset counts in each partition; one that does not
// reach so far begins at its end. Offset 0 is the start, whatever retention has taken.
// Errors: out_of_range for an offset that retention has taken, or that no partition has reached;
// those of Stream::resolve and Stream::bounds.
void resolve_start(stream::Stream& stream, const stream::StreamInfo& info, const StartPoint& from,
                   Done<std::vector<Offset>> done);

}  // namespace sluice::hub
