#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "hub/hub.h"
#include "mqtt/counters.h"
#include "mqtt/encode.h"
#include "mqtt/send_window.h"
#include "mqtt/shared_packets.h"
#include "mqtt/topic_aliases.h"

namespace sluice::mqtt {

// What deliveries need and all sessions of a shard share: memory that is reused, the counters, the
// time.
struct DeliveryContext {
  Counters& counters;
  WallMs now = 0;
  hub::Properties properties;  // scratch
  Buffer encoded;              // scratch
  SharedPackets shared;
};

// The way out of one session: from records to PUBLISH packets, as far as the client may get more of
// them.
class Outbound {
 public:
  // What the client said in CONNECT, and what is kept of it.
  struct Limits {
    Version version = Version::v5;
    std::uint16_t receive_maximum = 65'535;
    std::uint32_t packet_max = 0;  // 0: it has no limit
    std::uint16_t topic_aliases = 0;
  };
  void configure(const Limits& limits);

  // Encodes what is left of `batch` into `out` until that holds `out_max` bytes or the window is
  // full. Returns how many records are done with now; what has expired or is too large for the
  // client is among them.
  std::size_t deliver(const DeliveryBatch& batch, std::size_t out_max, Buffer& out,
                      DeliveryContext& context);

  [[nodiscard]] SendWindow& window() { return window_; }
  [[nodiscard]] std::uint32_t packet_max() const { return packet_max_; }

 private:
  // The packets of `batch` hold nothing that is this session's own.
  [[nodiscard]] bool shares(const DeliveryBatch& batch) const;
  SharedPackets::State encode_shared(const DeliveryBatch& batch, DeliveryContext& context) const;
  bool describe(const DeliveryBatch& batch, std::uint32_t index, const hub::Grant& grant,
                DeliveryContext& context, OutgoingPublish& publish) const;
  enum class Outcome : std::uint8_t { written, dropped, full };
  // `topic_hash` chooses a topic alias.
  Outcome deliver_one(OutgoingPublish& publish, std::uint32_t topic_hash, Buffer& out,
                      DeliveryContext& context);
  // Uses a topic alias if that makes the packet smaller, now or the next time. Returns one that is
  // to be defined once the packet is written; 0: none.
  std::uint16_t use_alias(OutgoingPublish& publish, std::uint32_t topic_hash, PublishSize& size);
  // False: it has expired.
  [[nodiscard]] bool add_properties(OutgoingPublish& publish, const log::Block& block,
                                    const log::Record& record, DeliveryContext& context) const;

  SendWindow window_;
  std::unique_ptr<SentAliases> aliases_;  // none: the client takes none
  std::uint32_t packet_max_ = 0;
  Version version_ = Version::v5;
};

}  // namespace sluice::mqtt
