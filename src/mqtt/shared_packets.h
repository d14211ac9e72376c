#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "hub/hub.h"
#include "mqtt/packet.h"

namespace sluice::mqtt {

// Packets that are encoded once for many: subscribers of equal filters are given the same records
// one after the other, and at QoS 0 get the same bytes. Whoever comes second has them encoded here,
// who follows copies them; a lone subscriber costs no copy.
//
// Bound: one block, and the packets of it.
class SharedPackets {
 public:
  enum class State : std::uint8_t {
    unknown,  // nobody has asked for these before
    wanted,   // they are asked for again: begin() and end_packet() make them
    ready,
    useless,  // they cannot be shared
  };
  // Whether the packets of `batch` are here. At QoS 0 and without subscription identifiers. `done`:
  // how many of its records the subscriber has got already.
  State find(const hub::DeliveryBatch& batch, std::size_t done, Version version, WallMs now);

  // Every record of the batch becomes a packet appended to what begin() returns, or none may.
  Buffer& begin();
  void end_packet() { ends_.push_back(packets_.size()); }
  State finish(bool all) { return state_ = all ? State::ready : State::useless; }

  // Appends to `out` from the `done`th packet on, until that holds `out_max` bytes. Returns how
  // many.
  std::size_t copy(std::size_t done, std::size_t out_max, Buffer& out) const;

 private:
  struct Run {
    std::uint32_t record;
    std::uint32_t count;
    bool retain_as_published;
  };
  [[nodiscard]] bool is_of(const hub::DeliveryBatch& batch, Version version, WallMs now) const;

  // Held, because another block at its place would look the same.
  log::BlockRef block_;
  std::vector<Run> runs_;
  hub::Origin origin_ = hub::Origin::log;
  Version version_ = Version::v5;
  WallMs now_ = 0;
  State state_ = State::unknown;

  Buffer packets_;
  std::vector<std::size_t> ends_;  // of each packet in packets_
};

}  // namespace sluice::mqtt
