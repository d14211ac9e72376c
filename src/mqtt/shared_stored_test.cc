// Shared subscriptions of stored sessions, through servers on one shard and on two, over crashes.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "mqtt/stored_broker_test.h"
#include "mqtt/test_client_test.h"

namespace sluice::mqtt {
namespace {

using namespace std::chrono_literals;

constexpr auto pubrec = PacketType::pubrec, pubrel = PacketType::pubrel,
               pubcomp = PacketType::pubcomp;
const std::string shared = "$share/g/a/#";

class SharedStored : public testing::TestWithParam<std::uint32_t> {
 protected:
  SharedStored() {
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
  TestClient client(std::string_view id, bool is_stored = true) {
    TestClient made(broker->hub.world, broker->endpoints[clients_++ % GetParam()]);
    Buffer properties;
    if (is_stored) PropertyWriter(properties).number(PropertyId::session_expiry, 3600);
    SLUICE_ASSERT(made.connect(id, {.clean_start = !is_stored, .properties = {properties}}) == 0);
    return made;
  }
  TestClient member(std::string_view id, std::uint8_t qos, const std::string& text = shared) {
    auto made = client(id);
    SLUICE_ASSERT(made.subscribe({{.filter = text, .qos = qos}}) == std::vector<int>{qos});
    return made;
  }
  void publish(const std::string& payload, std::uint8_t qos = 1) {
    auto publisher = client("p", false);
    publisher.publish("a/x", payload, qos, 1);
    if (qos == 1) return static_cast<void>(publisher.next_ack());
    publisher.next_ack(pubrec);
    publisher.ack(1, pubrel);
    publisher.next_ack(pubcomp);
  }
  static std::string payload_of(TestClient& client) {
    return std::string(as_text(client.next_publish().payload));
  }
  static bool is_silent(TestClient& client) { return !client.next(1s); }
  // The connection goes, and the hub has noticed.
  void lose(TestClient& client) {
    client.wire().close();
    broker->hub.world.run_for(1s);
  }

  std::unique_ptr<StoredBroker> broker;

 private:
  std::shared_ptr<hub::SimMachine> machine_ = std::make_shared<hub::SimMachine>(1);
  Options options_;
  std::uint64_t lives_ = 0;
  std::uint32_t clients_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Shards, SharedStored, testing::Values(1u, 2u));

TEST_P(SharedStored, WhatComesWhileAllMembersAreAwayIsForTheFirstThatIsBack) {
  {
    auto one = member("1", 1), two = member("2", 1);
    lose(one);
    lose(two);
  }
  publish("a");
  publish("b");
  auto two = client("2");
  EXPECT_EQ(payload_of(two), "a");
  EXPECT_EQ(payload_of(two), "b");
}

TEST_P(SharedStored, SoItIsAfterACrash) {
  {
    auto one = member("1", 1);
    lose(one);
  }
  publish("a");
  crash();
  publish("b");
  auto one = client("1");
  EXPECT_EQ(payload_of(one), "a");
  EXPECT_EQ(payload_of(one), "b");
}

TEST_P(SharedStored, WhatWasNotAcknowledgedAtQos1GoesToAnotherAlsoAfterACrash) {
  {
    auto two = member("2", 1);
    lose(two);
    auto one = member("1", 1);
    publish("a");
    EXPECT_EQ(payload_of(one), "a");
  }
  crash();
  auto two = client("2");
  EXPECT_EQ(payload_of(two), "a");
}

// [MQTT-4.8.2-4], [MQTT-4.8.2-5]
TEST_P(SharedStored, AnExchangeOfQos2StaysWithItsMember) {
  auto one = member("1", 2);
  publish("a", 2);
  const auto id = one.next_publish().packet_id;
  lose(one);
  auto two = member("2", 2);
  EXPECT_TRUE(is_silent(two));
  auto again = client("1");
  const auto publish = again.next_publish();
  EXPECT_EQ(publish.packet_id, id);
  EXPECT_TRUE(publish.dup);
  again.ack(id, pubrec);
  again.next_ack(pubrel);
  again.ack(id, pubcomp);
  EXPECT_TRUE(is_silent(two));
}

TEST_P(SharedStored, AnExchangeOfQos2StaysWithItsMemberOverACrash) {
  std::uint16_t id = 0;
  {
    auto two = member("2", 2);
    lose(two);
    auto one = member("1", 2);
    publish("a", 2);
    id = one.next_publish().packet_id;
  }
  crash();
  auto two = client("2");
  EXPECT_TRUE(is_silent(two));
  auto one = client("1");
  EXPECT_EQ(one.next_publish().packet_id, id);
}

TEST_P(SharedStored, AnExchangeOfQos2ThatIsOverIsNotDoneAgainAfterACrash) {
  {
    auto two = member("2", 2);
    lose(two);
    auto one = member("1", 2);
    publish("a", 2);
    const auto id = one.next_publish().packet_id;
    one.ack(id, pubrec);
    one.next_ack(pubrel);
    one.ack(id, pubcomp);
    broker->hub.world.run_for(10ms);
  }
  crash();
  auto one = client("1"), two = client("2");
  while (one.next(1s)) EXPECT_EQ(one.frame().type, pubrel) << "the hub may have missed PUBCOMP";
  EXPECT_TRUE(is_silent(two));
}

TEST_P(SharedStored, TheGroupEndsWithTheLastSessionThatHoldsIt) {
  auto one = member("1", 1);
  one.disconnect();
  broker->hub.world.run_for(1s);
  client("1", false);  // clean start
  publish("a");
  auto again = member("1", 1);
  publish("b");
  EXPECT_EQ(payload_of(again), "b");
}

TEST_P(SharedStored, WhoUnsubscribesHoldsItNoMore) {
  auto one = member("1", 1);
  Buffer filters, wire;
  append_filter(filters, shared);
  encode_unsubscribe(wire, Version::v5, {.packet_id = 3, .properties = {}, .filters = filters});
  one.send(wire);
  ASSERT_TRUE(one.next() && one.frame().type == PacketType::unsuback);
  broker->hub.world.run_for(1s);
  publish("a");
  ASSERT_EQ(one.subscribe({{.filter = shared, .qos = 1}}), std::vector<int>{1});
  publish("b");
  EXPECT_EQ(payload_of(one), "b");
}

TEST_P(SharedStored, WhoSubscribesAgainAtOnceHoldsItStill) {
  {
    auto one = member("1", 1);
    Buffer filters, subscriptions, wire;
    append_filter(filters, shared);
    encode_unsubscribe(wire, Version::v5, {.packet_id = 3, .properties = {}, .filters = filters});
    append_subscription(subscriptions, {.filter = shared, .qos = 1});
    encode_subscribe(wire, Version::v5,
                     {.packet_id = 4, .properties = {}, .filters = subscriptions});
    one.send(wire);
    ASSERT_TRUE(one.next() && one.next());
    lose(one);
  }
  publish("a");
  crash();
  auto again = client("1");
  EXPECT_EQ(payload_of(again), "a");
}

TEST_P(SharedStored, AQueueLastsWithoutAnySession) {
  const std::string queue = "$queue/jobs/a/#";
  {
    auto worker = client("w", false);
    ASSERT_EQ(worker.subscribe({{.filter = queue, .qos = 1}}), std::vector<int>{1});
  }
  crash();
  publish("a");
  auto worker = client("w", false);
  ASSERT_EQ(worker.subscribe({{.filter = queue, .qos = 1}}), std::vector<int>{1});
  EXPECT_EQ(payload_of(worker), "a");
}

}  // namespace
}  // namespace sluice::mqtt
