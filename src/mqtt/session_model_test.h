#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {

// The laws of QoS 0, 1 and 2 in both directions, written down as plainly as possible: it is told
// all that a connected session is shown and all that it does, and notes the first law that is
// broken.
class SessionModel {
 public:
  SessionModel(Version version, const Limits& limits) : version_(version), limits_(limits) {}

  // A packet that the session has taken, and the publishes that it thereupon gave the hub.
  void on_packet(const Frame& frame, std::span<const FakeHost::Published> stored, bool ended) {
    if (ended) return forget();
    switch (frame.type) {
      case PacketType::publish:
        return on_publish(decode_publish(frame, version_).value(), stored);
      case PacketType::puback:
      case PacketType::pubrec:
      case PacketType::pubrel:
      case PacketType::pubcomp:
        law(stored.empty(), "an answer publishes nothing");
        return on_answer(frame.type, decode_ack(frame.body, version_).value());
      default:
        return;
    }
  }
  // From the hub: all up to `sequence` is durable, but for what has failed before.
  void on_durable(std::uint64_t sequence) { durable_ = std::max(durable_, sequence); }
  void on_failed(std::uint64_t sequence) {
    for (Waiting& waiting : waiting_)
      if (waiting.sequence == sequence) waiting.failed = true;
  }
  // The session has taken a message for the client; `ticket`, if a shared subscription gave it.
  void on_delivered(std::string_view topic, std::uint8_t qos,
                    std::optional<std::uint64_t> ticket = {}) {
    deliveries_.push_back({std::string(topic), qos, ticket});
  }
  // The session has told the hub that this one is done with.
  void on_settled(std::uint64_t ticket) {
    law(to_settle_.erase(ticket) == 1, "a ticket is settled once, when its exchange is over");
  }
  void on_output(const Frame& frame) {
    switch (frame.type) {
      case PacketType::publish:
        return on_delivery(decode_publish(frame, version_).value());
      case PacketType::puback:
      case PacketType::pubrec:
        if (!take_answer(frame)) on_ack(frame.type, decode_ack(frame.body, version_).value());
        return;
      case PacketType::pubrel:
      case PacketType::pubcomp:
        return law(take_answer(frame), "PUBREL and PUBCOMP answer a packet, in its turn");
      default:
        return;
    }
  }
  // All that the session had to say after a packet or an event has been said.
  void on_step_end() {
    law(answers_.empty(), "what is answered is answered at once");
    law(deliveries_.empty(), "what was taken for the client is sent");
    law(to_settle_.empty(), "the hub hears of the end of an exchange at once");
  }
  // Everything is durable, and the client has answered everything.
  void on_end() {
    law(waiting_.empty(), "every publish is acknowledged");
    law(in_flight_.empty() && open_.empty(), "every exchange comes to its end");
  }
  // The session is over: what it owed it owes no more.
  void forget() {
    waiting_.clear();
    open_.clear();
    answers_.clear();
    deliveries_.clear();
    in_flight_.clear();
    to_settle_.clear();
  }

  // Sequences of publishes that are neither durable nor failed.
  [[nodiscard]] std::vector<std::uint64_t> not_durable() const {
    std::vector<std::uint64_t> sequences;
    for (const Waiting& waiting : waiting_)
      if (waiting.sequence > durable_ && !waiting.failed) sequences.push_back(waiting.sequence);
    return sequences;
  }

  std::string broken;  // empty: all is well

 private:
  // A publish from the client until its PUBACK or PUBREC.
  struct Waiting {
    std::uint16_t id;
    std::uint8_t qos;
    std::uint64_t sequence;  // 0: not stored
    bool dropped;            // for its topic
    bool failed = false;
  };
  struct Delivery {
    std::string topic;
    std::uint8_t qos;
    std::optional<std::uint64_t> ticket;
  };
  struct InFlight {
    SendState state;
    std::optional<std::uint64_t> ticket;
  };

  void law(bool holds, std::string_view text) {
    if (!holds && broken.empty()) broken = text;
  }

  void on_publish(const Publish& publish, std::span<const FakeHost::Published> stored) {
    const std::string topic = resolve(publish, received_aliases_);
    if (publish.qos == 2 && open_.contains(publish.packet_id)) {
      law(stored.empty(), "a repeat is not published again");
      if (open_.at(publish.packet_id)) answers_.push_back(answer("pubrec", publish.packet_id, 0));
      return;
    }
    law(stored.size() <= 1, "a publish is stored once");
    if (!stored.empty())
      law(stored[0].topic == topic && stored[0].qos == publish.qos, "it is stored as it came");
    if (publish.qos == 0) return;
    waiting_.push_back({.id = publish.packet_id,
                        .qos = publish.qos,
                        .sequence = stored.empty() ? 0 : stored[0].sequence,
                        .dropped = topic.starts_with('$')});
    if (publish.qos == 2) open_[publish.packet_id] = false;
    std::size_t counted = waiting_.size();
    if (version_ == Version::v5)
      for (const auto& [id, received] : open_) counted += received ? 1 : 0;
    law(counted <= limits_.receive_maximum, "the receive maximum holds");
  }

  // PUBACK or PUBREC for the oldest publish.
  void on_ack(PacketType type, const Ack& ack) {
    if (waiting_.empty() || waiting_.front().id != ack.packet_id)
      return law(false, "acknowledgements keep the order of the publishes");
    const Waiting publish = waiting_.front();
    waiting_.pop_front();
    law((publish.qos == 2) == (type == PacketType::pubrec), "PUBREC belongs to QoS 2");
    const bool durable = publish.sequence != 0 && publish.sequence <= durable_ && !publish.failed;
    const bool positive = ack.code < 0x80;
    if (version_ == Version::v5)
      law(positive == durable, "an acknowledgement is positive when the message is durable");
    else
      law(durable || publish.dropped, "3.1.1 acknowledges only what is durable");
    if (publish.qos != 2) return;
    if (positive)
      open_[publish.id] = true;
    else
      open_.erase(publish.id);
  }

  void on_answer(PacketType type, const Ack& ack) {
    if (type == PacketType::pubrel) {
      const auto open = open_.find(ack.packet_id);
      const bool known = open != open_.end();
      law(!known || open->second, "PUBREL before PUBREC ends the session");
      answers_.push_back(answer("pubcomp", ack.packet_id, known ? 0 : 0x92));
      if (known) open_.erase(open);
      return;
    }
    const auto sent = in_flight_.find(ack.packet_id);
    const bool known = sent != in_flight_.end();
    const SendState state = known ? sent->second.state : SendState::none;
    const bool refused = ack.code >= 0x80;
    if (type == PacketType::pubrec) {
      law(state != SendState::sent_qos1, "PUBREC for QoS 1 ends the session");
      if (!refused) answers_.push_back(answer("pubrel", ack.packet_id, known ? 0 : 0x92));
      if (known && refused) finish(ack.packet_id);
      if (known && !refused) sent->second.state = SendState::released;
      return;
    }
    const SendState wanted =
        type == PacketType::puback ? SendState::sent_qos1 : SendState::released;
    law(!known || state == wanted, "an answer of the wrong kind ends the session");
    if (known) finish(ack.packet_id);
  }
  void finish(std::uint16_t id) {
    if (const auto& ticket = in_flight_.at(id).ticket) to_settle_.insert(*ticket);
    in_flight_.erase(id);
  }

  void on_delivery(const Publish& publish) {
    const std::string topic = resolve(publish, sent_aliases_);
    if (deliveries_.empty()) return law(false, "a message is delivered once");
    law(deliveries_.front().topic == topic, "messages are delivered in order");
    law(deliveries_.front().qos == publish.qos, "at the QoS that was granted");
    const auto ticket = deliveries_.front().ticket;
    deliveries_.pop_front();
    if (publish.qos == 0) {
      if (ticket) to_settle_.insert(*ticket);
      return;
    }
    const SendState state = publish.qos == 1 ? SendState::sent_qos1 : SendState::sent_qos2;
    law(in_flight_.try_emplace(publish.packet_id, state, ticket).second,
        "a packet id is used once at a time");
    law(in_flight_.size() <= limits_.max_inflight, "the client's receive maximum holds");
  }

  static std::string resolve(const Publish& publish,
                             std::map<std::uint32_t, std::string>& aliases) {
    std::string topic(publish.topic);
    for_each_property(publish.properties, [&](const Property& property) {
      if (property.id != PropertyId::topic_alias) return;
      if (topic.empty())
        topic = aliases[property.number];
      else
        aliases[property.number] = topic;
    });
    return topic;
  }

  [[nodiscard]] std::string answer(std::string_view name, std::uint16_t id, int code) const {
    return fmt::format("{} {} {:02x}", name, id, version_ == Version::v5 ? code : 0);
  }
  bool take_answer(const Frame& frame) {
    if (answers_.empty() || answers_.front() != describe(frame, version_)) return false;
    answers_.pop_front();
    return true;
  }

  Version version_;
  Limits limits_;
  std::deque<Waiting> waiting_;         // publishes without PUBACK or PUBREC, in order
  std::map<std::uint16_t, bool> open_;  // QoS 2 publishes without PUBREL; true: PUBREC was sent
  std::uint64_t durable_ = 0;
  std::deque<std::string> answers_;  // due at once, as describe() says
  std::deque<Delivery> deliveries_;  // taken and not yet seen
  std::map<std::uint16_t, InFlight> in_flight_;
  std::set<std::uint64_t> to_settle_;
  std::map<std::uint32_t, std::string> received_aliases_, sent_aliases_;
};

}  // namespace sluice::mqtt
