#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/json.h"
#include "runtime/loop.h"
#include "stream/stream.h"

namespace sluice::server {

// How far one who reads on at `next` is behind in its partition.
struct Backlog {
  Position next;
  std::optional<stream::Bounds> bounds{};  // of the log; none: it could not be asked just now

  // Offsets that retention has taken before they were read.
  [[nodiscard]] std::int64_t lost() const {
    return bounds ? std::max<std::int64_t>(0, bounds->start - next.offset) : 0;
  }
  // Offsets that are still to be read, whether they hold anything for it or not.
  [[nodiscard]] std::int64_t records() const {
    if (!bounds) return 0;
    const Offset from = std::max(next.offset, bounds->start);
    return std::max<std::int64_t>(0, bounds->visible_end - from);
  }
};

// As the API says it; without `end` and what follows from it if the log could not be asked.
JsonObject backlog_json(std::string_view stream, const Backlog& backlog);

// Asks for the bounds of these partitions, a few at a time, since they may be a cluster's to tell.
// `loop` is that of the shard of `stream`, which outlives the answer.
void find_backlogs(runtime::Loop& loop, stream::Stream& stream,
                   const std::vector<Position>& positions,
                   std::move_only_function<void(std::vector<Backlog>)> done);

}  // namespace sluice::server
