#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "hub/handle.h"
#include "stream/stream.h"

namespace sluice::hub {

// Who takes part in a sweep, and what they want together: made anew when they, any filters, or the
// streams have changed since it was made last.
struct Cohort {
  // Before each read: they are named again, in the same order.
  void begin(Offset tail) {
    end = tail;
    count = 0;
  }
  void add(Handle handle) {
    if (count == members.size() || members[count] != handle) {
      members.resize(count);
      members.push_back(handle);
      changed = true;
    }
    ++count;
  }
  [[nodiscard]] bool is_empty() const { return count == 0; }
  // When all are named: whether the hint is to be made.
  bool is_new(std::uint64_t filters_now, std::uint64_t streams_now) {
    const bool is_same =
        !changed && count == members.size() && filters == filters_now && streams == streams_now;
    members.resize(count);
    changed = false;
    filters = filters_now;
    streams = streams_now;
    return !is_same;
  }

  std::vector<Handle> members;
  std::size_t count = 0;  // of those that were named for this read
  bool changed = false;
  std::uint64_t filters = 0;  // generations
  std::uint64_t streams = 0;
  stream::KeyHintRef hint;
  // Where the tail was when the read was asked for. Who came later, and filters that did, want
  // nothing before it, and may want what lies behind.
  Offset end;
};

}  // namespace sluice::hub
