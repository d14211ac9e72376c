#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/assert.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/property.h"
#include "sim/world.h"

namespace sluice::mqtt {

// An MQTT client of a test on the simulated network: sends what it is told to, takes packets as
// they come.
class TestClient {
 public:
  TestClient(sim::SimWorld& world, const runtime::Endpoint& server, Version version = Version::v5)
      : world_(world), version_(version), wire_(std::move(world.connect(server).value())) {}

  void send(Bytes bytes) { wire_->send(bytes); }

  // Sends CONNECT and returns the answer's code; nothing if the connection was closed.
  std::optional<std::uint8_t> connect(std::string_view client_id, Connect with = {}) {
    with.version = version_;
    with.client_id = client_id;
    Buffer out;
    encode_connect(out, with);
    send(out);
    if (!next()) return std::nullopt;
    SLUICE_ASSERT(frame().type == PacketType::connack);
    return decode_connack(frame().body, version_)->code;
  }

  void publish(std::string_view topic, std::string_view payload, std::uint8_t qos = 0,
               std::uint16_t id = 0, bool retain = false, PropertyBlock properties = {}) {
    const OutgoingPublish publish{.topic = topic,
                                  .payload = as_bytes(payload),
                                  .packet_id = id,
                                  .qos = qos,
                                  .retain = retain,
                                  .properties = properties};
    Buffer out;
    encode_publish(out, version_, publish, measure_publish(version_, publish));
    send(out);
  }

  // Returns the codes of SUBACK.
  std::vector<int> subscribe(const std::vector<Subscription>& subscriptions,
                             PropertyBlock properties = {}) {
    Buffer filters;
    for (const Subscription& subscription : subscriptions)
      append_subscription(filters, subscription);
    Buffer out;
    encode_subscribe(out, version_, {.packet_id = 1, .properties = properties, .filters = filters});
    send(out);
    SLUICE_ASSERT(next() && frame().type == PacketType::suback);
    std::vector<int> codes;
    const auto ack = decode_subscribe_ack(frame().body, version_);
    for (const std::byte code : ack->codes) codes.push_back(std::to_integer<int>(code));
    return codes;
  }

  void ack(std::uint16_t id, PacketType type = PacketType::puback) {
    Buffer out;
    encode_ack(out, version_, type, {.packet_id = id});
    send(out);
  }

  void disconnect(std::uint8_t code = 0) {
    Buffer out;
    encode_disconnect(out, version_, {.code = code});
    send(out);
  }

  // Waits for the next packet; false when the connection was closed first. frame() is valid until
  // the next call.
  bool next(runtime::Duration limit = std::chrono::hours(1)) {
    wire_->take(std::exchange(frame_size_, 0));
    world_.run_until([this] { return cut() || wire_->ended(); }, limit);
    const auto frame = cut();
    if (!frame) return false;
    frame_ = *frame;
    frame_size_ = frame->size;
    return true;
  }
  [[nodiscard]] const Frame& frame() const { return frame_; }
  Publish next_publish() {
    SLUICE_ASSERT(next() && frame().type == PacketType::publish);
    return decode_publish(frame(), version_).value();
  }
  Ack next_ack(PacketType type = PacketType::puback) {
    SLUICE_ASSERT(next() && frame().type == type);
    return decode_ack(frame().body, version_).value();
  }
  // The code of the DISCONNECT that the server sends before it closes.
  int next_disconnect() {
    SLUICE_ASSERT(next() && frame().type == PacketType::disconnect);
    return decode_disconnect(frame().body, version_)->code;
  }
  [[nodiscard]] sim::SimClient& wire() { return *wire_; }

 private:
  std::optional<Frame> cut() {
    const auto cut = decode_frame(wire_->received(), 1 << 28);
    SLUICE_ASSERT(cut.has_value());
    const auto* frame = std::get_if<Frame>(&*cut);
    return frame ? std::optional(*frame) : std::nullopt;
  }

  sim::SimWorld& world_;
  Version version_;
  std::unique_ptr<sim::SimClient> wire_;
  Frame frame_{};
  std::size_t frame_size_ = 0;
};

}  // namespace sluice::mqtt
