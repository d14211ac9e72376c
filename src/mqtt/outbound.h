#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "hub/hub.h"
#include "mqtt/counters.h"
#include "mqtt/encode.h"
#include "mqtt/send_window.h"

namespace sluice::mqtt {

// What deliveries need and all sessions of a shard share: memory that is reused, the counters, the
// time.
struct DeliveryContext {
  Counters& counters;
  WallMs now = 0;
  hub::Properties properties;  // scratch
  Buffer encoded;              // scratch
};

// The way out of one session: from records to PUBLISH packets, as far as the client may get more of
// them.
class Outbound {
 public:
  // Values of the client's CONNECT. `packet_max` 0: it has no limit.
  void configure(Version version, std::uint16_t receive_maximum, std::uint32_t packet_max);

  // Encodes deliveries behind each other into `out` until that holds `out_max` bytes or the window
  // is full. Returns how many are done with; what has expired or is too large for the client is
  // among them.
  std::size_t deliver(std::string_view prefix, const log::Block& block,
                      std::span<const hub::Delivery> deliveries, std::size_t out_max, Buffer& out,
                      DeliveryContext& context);

  [[nodiscard]] SendWindow& window() { return window_; }
  [[nodiscard]] std::uint32_t packet_max() const { return packet_max_; }

 private:
  enum class Outcome : std::uint8_t { written, dropped, full };
  Outcome deliver_one(OutgoingPublish& publish, Buffer& out, DeliveryContext& context);
  // False: it has expired.
  [[nodiscard]] bool add_properties(OutgoingPublish& publish, const log::Block& block,
                                    const log::Record& record, DeliveryContext& context) const;

  SendWindow window_;
  std::uint32_t packet_max_ = 0;
  Version version_ = Version::v5;
};

}  // namespace sluice::mqtt
