#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "hub/handle.h"
#include "hub/subscriptions.h"
#include "stream/stream.h"

namespace sluice::hub {

// One way through a partition's log for all who are aboard: those in `members` whose Lag::At names
// this sweep. distributor_sweep.cc says how they come and go.
struct Sweep {
  // With so many, each has little of what a step reads.
  static constexpr std::size_t many = 256;
  // After so many steps it is a long one: who is to go on beyond its end does not wait for it.
  static constexpr std::uint32_t long_after = 16;

  explicit Sweep(std::uint8_t n) : number(n) {}

  // Another one begins: all are added again, mostly the same ones in the same order; then close().
  void begin() {
    count = 0;
    steps = 0;
    first_stop = Lag::no_stop;
  }
  void add(Handle handle, Offset stop) {
    if (count == members.size() || members[count] != handle) {
      members.resize(count);
      members.push_back(handle);
      changed = true;
    }
    ++count;
    first_stop = std::min(first_stop, stop);
  }
  void close(Offset from, Offset until) {
    changed = changed || count < members.size();
    members.resize(count);
    in_portions = count >= many;
    swept = from;
    end = until;
    running = from < until;
  }
  // While it is closed.
  template <class Predicate>
  void remove_if(Predicate predicate) {
    changed = std::erase_if(members, predicate) > 0 || changed;
    count = members.size();
  }
  // Whether the hint is to be made: they, any filters, or the streams are others than last time.
  bool needs_hint(std::uint64_t filters_now, std::uint64_t streams_now) {
    const bool is_same = !changed && filters == filters_now && streams == streams_now;
    changed = false;
    filters = filters_now;
    streams = streams_now;
    return !is_same;
  }
  [[nodiscard]] bool has(const Lag::At& at) const { return at.sweep == number; }
  [[nodiscard]] bool comes_to(Offset offset) const { return offset >= swept && offset < end; }

  const std::uint8_t number;  // from 1
  bool running = false;
  bool in_portions = false;  // as DeliveryBatch says
  bool idle = false;         // the last step had nothing for anybody
  bool changed = false;      // `members`
  std::uint32_t steps = 0;
  Offset swept;                      // everything below was handed out
  Offset end;                        // where it ends
  Offset first_stop = Lag::no_stop;  // no stop of those aboard lies below
  // Where the tail was when the read was asked for. Who came later, and filters that did, want
  // nothing before it, and may want what lies behind.
  Offset read_end;
  std::vector<Handle> members;  // some may have left
  std::size_t count = 0;        // of those that are added
  std::uint64_t filters = 0;    // generations
  std::uint64_t streams = 0;
  stream::KeyHintRef hint;  // what they want together
};

}  // namespace sluice::hub
