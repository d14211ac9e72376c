#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "mqtt/stored_broker_test.h"
#include "mqtt/test_client_test.h"

namespace sluice::mqtt {

// Clients with stored sessions on a server per shard, over crashes. The parameter: how many shards.
class StoredServerTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  StoredServerTest() {
    options_.limits.session_expiry_max_s = 86'400;
    start();
  }
  void start() {
    ++lives_;
    broker = std::make_unique<StoredBroker>(lives_, GetParam(), machine_, options_,
                                            lives_ * std::chrono::minutes(1));
  }
  // Clients first: they are on its network.
  void crash() {
    broker->hub.world.power_off();
    broker.reset();
    machine_->crash();
    start();
  }
  TestClient client(std::string_view id, bool is_stored = true,
                    std::uint16_t receive_maximum = 100) {
    TestClient made(broker->hub.world, broker->endpoints[clients_++ % GetParam()]);
    Buffer properties;
    PropertyWriter writer(properties);
    if (is_stored) writer.number(PropertyId::session_expiry, 3600);
    writer.number(PropertyId::receive_maximum, receive_maximum);
    SLUICE_ASSERT(made.connect(id, {.clean_start = !is_stored, .properties = {properties}}) == 0);
    return made;
  }
  void publish(const std::string& payload, std::uint8_t qos = 1) {
    auto publisher = client("p", false);
    publisher.publish("a/x", payload, qos, 1);
    if (qos == 1) return static_cast<void>(publisher.next_ack());
    publisher.next_ack(PacketType::pubrec);
    publisher.ack(1, PacketType::pubrel);
    publisher.next_ack(PacketType::pubcomp);
  }
  static std::string payload_of(TestClient& client) {
    return std::string(as_text(client.next_publish().payload));
  }
  static bool is_silent(TestClient& client) { return !client.next(std::chrono::seconds(1)); }
  // The connection goes, and the hub has noticed.
  void lose(TestClient& client) {
    client.wire().close();
    broker->hub.world.run_for(std::chrono::seconds(1));
  }

  std::unique_ptr<StoredBroker> broker;

 private:
  std::shared_ptr<hub::SimMachine> machine_ = std::make_shared<hub::SimMachine>(1);
  Options options_;
  std::uint64_t lives_ = 0;
  std::uint32_t clients_ = 0;
};

}  // namespace sluice::mqtt
