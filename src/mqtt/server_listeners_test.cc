// Listeners with limits of their own, and how many connections there may be.

#include <gtest/gtest.h>

#include <map>

#include "mqtt/broker_test.h"

namespace sluice::mqtt {
namespace {

using std::chrono::seconds;

constexpr Version both[] = {Version::v3_1_1, Version::v5};

std::shared_ptr<Listener> listener(std::uint64_t connections_max,
                                   std::shared_ptr<ConnectionQuota> of_hub = nullptr) {
  return std::make_shared<Listener>(
      ListenerOptions{.name = "small", .connections_max = connections_max}, std::move(of_hub));
}

bool has_row(Broker& broker, const std::string& row) {
  return broker.metrics().find("\n" + row + "\n") != std::string::npos;
}

TEST(Listeners, EachHasLimitsOfItsOwnAndConnackSaysThem) {
  Broker broker(1);
  ListenerOptions options{.name = "tight"};
  options.limits = {.packet_max = 2048,
                    .receive_maximum = 7,
                    .topic_alias_max = 0,
                    .keep_alive_max_s = 30,
                    .client_id_max = 30};
  const auto tight = std::make_shared<Listener>(options);
  auto client = broker.client(tight);
  ASSERT_EQ(client.connect("c", {.keep_alive_s = 60}), 0);
  std::map<PropertyId, std::uint32_t> offered;
  const auto connack = decode_connack(client.frame().body, Version::v5).value();
  for_each_property(connack.properties, [&](const Property& p) { offered[p.id] = p.number; });
  EXPECT_EQ(offered.at(PropertyId::maximum_packet_size), 2048u);
  EXPECT_EQ(offered.at(PropertyId::receive_maximum), 7u);
  EXPECT_EQ(offered.at(PropertyId::server_keep_alive), 30u);
  EXPECT_FALSE(offered.contains(PropertyId::topic_alias_maximum));
  client.publish("t", std::string(3000, 'x'));
  EXPECT_EQ(client.next_disconnect(), 0x95);
  EXPECT_EQ(broker.client(tight).connect(std::string(31, 'c')), 0x85);

  auto other = broker.client();
  ASSERT_EQ(other.connect(std::string(31, 'c')), 0);
  other.publish("t", std::string(3000, 'x'), 1, 1);
  EXPECT_EQ(other.next_ack().code, 0) << "others are not touched";
}

TEST(Listeners, TheTimeForConnectIsTheListeners) {
  Broker broker(2);
  ListenerOptions options{.name = "hasty"};
  options.limits.connect_timeout = seconds(2);
  auto hasty = broker.client(std::make_shared<Listener>(options));
  auto patient = broker.client();
  broker.hub.world.run_for(seconds(5));
  EXPECT_TRUE(hasty.wire().ended());
  EXPECT_FALSE(patient.wire().ended());
}

TEST(Listeners, BeyondItsConnectionsAClientIsToldWhenItSaysConnect) {
  for (const Version version : both) {
    Broker broker(3);
    const auto small = listener(2);
    auto first = broker.client(small, version);
    ASSERT_EQ(first.connect("first"), 0);
    auto second = broker.client(small, version);
    ASSERT_EQ(second.connect("second"), 0);
    auto third = broker.client(small, version);
    EXPECT_EQ(third.connect("third"), version == Version::v5 ? 0x97 : 3);
    EXPECT_FALSE(third.next()) << "and closed";
    EXPECT_TRUE(has_row(broker, "sluice_mqtt_listener_connections{listener=\"small\"} 2"));
    EXPECT_TRUE(has_row(broker, "sluice_mqtt_refusals_total{reason=\"quota_exceeded\"} 1"));
    EXPECT_EQ(broker.client(version).connect("elsewhere"), 0);

    first.wire().reset();
    broker.hub.world.run_for(seconds(2));
    EXPECT_EQ(broker.client(small, version).connect("fourth"), 0) << "there is a place again";
  }
}

TEST(Listeners, TheConnectionsOfTheHubAreThoseOfAllListenersOnAllShards) {
  Broker broker(4, {}, 2);
  const auto of_hub = std::make_shared<ConnectionQuota>(3);
  const auto one = listener(0, of_hub);
  const auto other = listener(2, of_hub);
  auto a = broker.client(one, Version::v5, 0);
  ASSERT_EQ(a.connect("a"), 0);
  auto b = broker.client(one, Version::v5, 1);
  ASSERT_EQ(b.connect("b"), 0);
  auto c = broker.client(other, Version::v5, 0);
  ASSERT_EQ(c.connect("c"), 0);
  auto d = broker.client(other, Version::v5, 1);
  EXPECT_EQ(d.connect("d"), 0x97);
  a.disconnect();
  broker.hub.world.run_for(seconds(2));
  EXPECT_EQ(broker.client(other, Version::v5, 1).connect("e"), 0);
}

TEST(Listeners, OfThoseThatAreToBeToldABoundedNumberWaits) {
  Broker broker(5);
  const auto small = listener(1);
  auto first = broker.client(small);
  ASSERT_EQ(first.connect("first"), 0);
  std::vector<TestClient> beyond;
  for (int i = 0; i < 100; ++i) beyond.push_back(broker.client(small));
  broker.hub.world.run_for(seconds(3));
  const auto waiting =
      std::ranges::count_if(beyond, [](TestClient& client) { return !client.wire().ended(); });
  EXPECT_EQ(waiting, 64) << "the others are closed at once";
  EXPECT_EQ(broker.servers[0]->connections(), 65u);
  broker.hub.world.run_for(seconds(10));
  EXPECT_EQ(broker.servers[0]->connections(), 1u) << "and these when they say nothing";
  EXPECT_EQ(broker.client(small).connect("late"), 0x97);
}

}  // namespace
}  // namespace sluice::mqtt
