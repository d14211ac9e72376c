#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "hub/hub.h"
#include "mqtt/counters.h"
#include "mqtt/encode.h"
#include "mqtt/send_window.h"
#include "mqtt/sent_positions.h"
#include "mqtt/sent_tickets.h"
#include "mqtt/shared_packets.h"
#include "mqtt/topic_aliases.h"

namespace sluice::mqtt {

// What deliveries need and all sessions of a shard share: memory that is reused, the counters, the
// time.
struct DeliveryContext {
  Counters& counters;
  WallMs now = 0;
  hub::Properties properties;            // scratch
  Buffer encoded;                        // scratch
  std::vector<std::uint64_t> settled{};  // of the shared batch being delivered: done with at once
  Offset live_from{};  // of the batch being delivered: what is older is not sent at QoS 0
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

  // Encodes what is left of `batch`, of which the client has got `done` records already, into `out`
  // until that holds `out_max` bytes or the window is full. Returns how many records are done with
  // now; what has expired or is too large for the client is among them. Tickets of a shared
  // subscription that need no acknowledgement are added to `context.settled`.
  std::size_t deliver(const hub::DeliveryBatch& batch, std::size_t done, std::size_t out_max,
                      Buffer& out, DeliveryContext& context);

  // For a stored session: what is in flight stays known by its place in the log.
  void keep_positions() { extras().positions.emplace(); }
  struct InFlight {
    std::uint16_t packet_id;
    SendState state;
    Position position;
    std::uint32_t group = 0;  // as of sessions::InFlight, and so is:
    std::string retained_topic{};
  };
  // What a stored session gets again on its next connection, in the order in which it was sent.
  [[nodiscard]] std::vector<InFlight> stored_in_flight() const;
  // As it was at the end of an earlier connection. The next `maybe_sent` messages of QoS 1 may have
  // been sent before as well: the server was killed. Precondition: keep_positions(), nothing sent.
  void restore(std::span<const InFlight> in_flight, std::uint16_t next_packet_id,
               std::uint32_t maybe_sent);
  // Sends one of these again: the record of `batch`, with its old packet id and DUP. False: it is
  // larger than the client takes.
  [[nodiscard]] bool send_again(std::uint16_t packet_id, const hub::DeliveryBatch& batch,
                                Buffer& out, DeliveryContext& context);

  // The exchange is over. Returns the ticket, if the message came from a shared subscription.
  // Precondition: window().state(packet_id) is not none.
  std::optional<hub::Ticket> finish(std::uint16_t packet_id);
  // For a stored session: messages of shared subscriptions at QoS 2 become its own with the first
  // save that has them. Those sent since the last call are in stored_in_flight() from now on.
  void begin_keeping();
  [[nodiscard]] bool is_keeping() const { return extras_ && !extras_->keeping.empty(); }
  // That save is done, or has failed: calls `keep` for the ticket of each, or they are none of its
  // own after all.
  template <class Keep>
  void end_keeping(bool saved, Keep keep) {
    if (!extras_) return;
    for (const std::uint16_t id : std::exchange(extras_->keeping, {})) {
      const auto ticket = extras_->tickets.find(id);
      if (!ticket) continue;  // it is over already
      if (saved)
        keep(*ticket);
      else
        extras_->positions->clear(id);
    }
  }
  // The client is gone: calls `settle` for each ticket of a message that may go to nobody else,
  // which is one of QoS 2 ([MQTT-4.8.2-5]); of a stored session the hub hears of those by
  // end_keeping().
  template <class Settle>
  void abandon(Settle settle) {
    if (!extras_) return;
    if (extras_->positions) return extras_->unsaved.clear();
    extras_->tickets.for_each([&](std::uint16_t id, const hub::Ticket& ticket) {
      if (window_.state(id) != SendState::sent_qos1) settle(ticket);
    });
  }

  [[nodiscard]] SendWindow& window() { return window_; }
  void release_memory_if_empty();
  [[nodiscard]] std::uint32_t in_flight() const { return window_.in_flight(); }
  [[nodiscard]] std::uint32_t packet_max() const { return packet_max_; }

 private:
  // What only some clients have.
  struct Extras {
    std::optional<SentAliases> aliases;  // none: the client takes none
    SentTickets tickets;
    std::optional<SentPositions> positions;  // of a stored session
    std::uint32_t maybe_sent = 0;            // as restore() says
    // Of shared subscriptions at QoS 2: in no save yet; in the save under way.
    std::vector<std::pair<std::uint16_t, SentPositions::Sent>> unsaved{};
    std::vector<std::uint16_t> keeping{};
  };
  Extras& extras() {
    if (!extras_) extras_ = std::make_unique<Extras>();
    return *extras_;
  }
  [[nodiscard]] SentAliases* aliases() const {
    return extras_ && extras_->aliases ? &*extras_->aliases : nullptr;
  }

  // The packets of `batch` hold nothing that is this session's own.
  [[nodiscard]] bool shares(const hub::DeliveryBatch& batch) const;
  SharedPackets::State encode_shared(const hub::DeliveryBatch& batch,
                                     DeliveryContext& context) const;
  bool describe(const hub::DeliveryBatch& batch, std::uint32_t index, const hub::Grant& grant,
                DeliveryContext& context, OutgoingPublish& publish) const;
  enum class Outcome : std::uint8_t { written, dropped, full };
  // `topic_hash` chooses a topic alias.
  Outcome deliver_one(OutgoingPublish& publish, std::uint32_t topic_hash, Buffer& out,
                      DeliveryContext& context);
  // Uses a topic alias if that makes the packet smaller, now or the next time. Returns one that is
  // to be defined once the packet is written; 0: none.
  std::uint16_t use_alias(OutgoingPublish& publish, std::uint32_t topic_hash, PublishSize& size);
  // Where it is found again, if that has a place.
  [[nodiscard]] static std::optional<Position> place_of(const hub::DeliveryBatch& batch,
                                                        std::uint32_t index);
  // Record `number` of a batch was sent with this packet id; 0: it needs no acknowledgement.
  void note_sent(const hub::DeliveryBatch& batch, std::size_t number, std::uint32_t index,
                 const hub::Grant& grant, std::uint16_t packet_id, DeliveryContext& context);
  // One of a shared subscription is done with, as far as this side goes.
  void note_ticket(const hub::DeliveryBatch& batch, std::size_t number, std::uint16_t packet_id,
                   DeliveryContext& context);
  // False: it has expired.
  [[nodiscard]] bool add_properties(OutgoingPublish& publish, const log::Block& block,
                                    const log::Record& record, DeliveryContext& context) const;
  [[nodiscard]] static bool is_missed(const hub::DeliveryBatch& batch, std::uint32_t index,
                                      const OutgoingPublish& publish,
                                      const DeliveryContext& context);

  SendWindow window_;
  std::unique_ptr<Extras> extras_;  // made on need
  std::uint32_t packet_max_ = 0;
  Version version_ = Version::v5;
};

}  // namespace sluice::mqtt
