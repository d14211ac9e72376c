#include "mqtt/server.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "mqtt/broker_test.h"

namespace sluice::mqtt {
namespace {

std::map<PropertyId, std::uint32_t> numbers(PropertyBlock block) {
  std::map<PropertyId, std::uint32_t> found;
  for_each_property(block, [&](const Property& p) { found[p.id] = p.number; });
  return found;
}

constexpr Version both[] = {Version::v3_1_1, Version::v5};

TEST(Server, ConnackSaysWhatIsOffered) {
  Broker broker(1);
  auto client = broker.client();
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::session_expiry, 100);
  ASSERT_EQ(client.connect("", {.clean_start = false, .properties = {properties}}), 0);
  const auto connack = decode_connack(client.frame().body, Version::v5).value();
  EXPECT_FALSE(connack.session_present);
  auto offered = numbers(connack.properties);
  EXPECT_EQ(offered.at(PropertyId::session_expiry), 0u);
  EXPECT_EQ(offered.at(PropertyId::receive_maximum), 1024u);
  EXPECT_FALSE(offered.contains(PropertyId::maximum_qos)) << "left out: 2";
  EXPECT_FALSE(offered.contains(PropertyId::retain_available)) << "left out: yes";
  EXPECT_EQ(offered.at(PropertyId::topic_alias_maximum), 16u);
  EXPECT_EQ(offered.at(PropertyId::maximum_packet_size), 16u << 20);
  EXPECT_FALSE(offered.contains(PropertyId::shared_subscription_available)) << "left out: yes";
  EXPECT_TRUE(offered.contains(PropertyId::assigned_client_id));
}

TEST(Server, EachMessageArrivesOnceAndInOrderAndIsAcknowledgedInOrder) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const Version version = both[seed % 2];
    Broker broker(seed);
    auto subscriber = broker.client(version);
    ASSERT_EQ(subscriber.connect("s"), 0);
    ASSERT_EQ(subscriber.subscribe({{.filter = "a/+", .qos = 1}}), std::vector<int>{1});
    auto publisher = broker.client(both[seed / 2 % 2]);
    ASSERT_EQ(publisher.connect("p"), 0);
    constexpr int count = 300;
    for (int i = 1; i <= count; ++i)
      publisher.publish("a/b",
                        std::string(static_cast<std::size_t>(i % 7 * 50), '.') + std::to_string(i),
                        1, static_cast<std::uint16_t>(i));
    for (int i = 1; i <= count; ++i) ASSERT_EQ(publisher.next_ack().packet_id, i);
    for (int i = 1; i <= count; ++i) {
      const auto message = subscriber.next_publish();
      ASSERT_EQ(message.topic, "a/b");
      ASSERT_EQ(message.qos, 1);
      ASSERT_TRUE(as_text(message.payload).ends_with(std::to_string(i)))
          << as_text(message.payload);
      subscriber.ack(message.packet_id);
    }
  }
}

TEST(Server, AtQos2EachMessageArrivesOnceAndInOrder) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    Broker broker(seed, {.limits = {.max_inflight = 7}});
    auto subscriber = broker.client(both[seed % 2]);
    ASSERT_EQ(subscriber.connect("s"), 0);
    ASSERT_EQ(subscriber.subscribe({{.filter = "a/+", .qos = 2}}), std::vector<int>{2});
    auto publisher = broker.client(both[seed / 2 % 2]);
    ASSERT_EQ(publisher.connect("p"), 0);
    constexpr int count = 200;
    for (int i = 1; i <= count; ++i)
      publisher.publish("a/b", std::to_string(i), 2, static_cast<std::uint16_t>(i));
    std::set<std::uint16_t> received;
    for (int completed = 0; completed < count;) {
      ASSERT_TRUE(publisher.next());
      const auto ack = decode_ack(publisher.frame().body, both[seed / 2 % 2]).value();
      if (publisher.frame().type == PacketType::pubcomp) {
        ++completed;
        continue;
      }
      ASSERT_EQ(publisher.frame().type, PacketType::pubrec);
      if (!received.insert(ack.packet_id).second) continue;
      publisher.publish("a/b", "a repeat", 2, ack.packet_id);
      publisher.ack(ack.packet_id, PacketType::pubrel);
    }
    for (int i = 1; i <= count;) {
      ASSERT_TRUE(subscriber.next());
      if (subscriber.frame().type == PacketType::pubrel) {
        const auto released = decode_ack(subscriber.frame().body, both[seed % 2]).value();
        subscriber.ack(released.packet_id, PacketType::pubcomp);
        continue;
      }
      const auto message = decode_publish(subscriber.frame(), both[seed % 2]).value();
      ASSERT_EQ(message.qos, 2);
      ASSERT_EQ(as_text(message.payload), std::to_string(i++));
      subscriber.ack(message.packet_id, PacketType::pubrec);
    }
  }
}

TEST(Server, ASlowSubscriberLagsAndMissesNothing) {
  Broker broker(3, {.limits = {.output_max = 4096}});
  auto subscriber = broker.client();
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::receive_maximum, 3);
  ASSERT_EQ(subscriber.connect("s", {.properties = {properties}}), 0);
  ASSERT_EQ(subscriber.subscribe({{.filter = "#", .qos = 1}}), std::vector<int>{1});
  subscriber.wire().pause_reading();
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  constexpr std::uint16_t count = 200;
  for (std::uint16_t i = 1; i <= count; ++i)
    publisher.publish("t", std::string(2000, 'x') + std::to_string(i), 1, i);
  for (std::uint16_t i = 1; i <= count; ++i) ASSERT_EQ(publisher.next_ack().packet_id, i);
  subscriber.wire().resume_reading();
  for (int i = 1; i <= count; ++i) {
    const auto message = subscriber.next_publish();
    ASSERT_EQ(as_text(message.payload).substr(2000), std::to_string(i));
    subscriber.ack(message.packet_id);
  }
}

TEST(Server, PropertiesTravelWithTheMessage) {
  Broker broker(4);
  auto subscriber = broker.client();
  ASSERT_EQ(subscriber.connect("s"), 0);
  Buffer subscription_id;
  PropertyWriter(subscription_id).number(PropertyId::subscription_id, 300);
  ASSERT_EQ(subscriber.subscribe({{.filter = "t", .qos = 0}}, {subscription_id}),
            std::vector<int>{0});
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  Buffer properties;
  PropertyWriter writer(properties);
  writer.number(PropertyId::message_expiry, 60);
  writer.text(PropertyId::content_type, "text/plain");
  writer.user("k", "v");
  publisher.publish("t", "x", 0, 0, false, {properties});
  const auto message = subscriber.next_publish();
  std::string seen;
  for_each_property(message.properties, [&](const Property& p) {
    seen += fmt::format("{}:{}:{}:{} ", static_cast<int>(p.id), p.number, p.text, p.value);
  });
  EXPECT_EQ(seen, "11:300:: 2:60:: 3:0:text/plain: 38:0:k:v ");
}

TEST(Server, ANewSubscriptionGetsWhatIsRetainedMarkedAsSuchAndWhatIsLiveNot) {
  for (const Version version : both) {
    Broker broker(12);
    auto publisher = broker.client(version);
    ASSERT_EQ(publisher.connect("p"), 0);
    publisher.publish("a/b", "retained", 2, 1, true);
    ASSERT_EQ(publisher.next_ack(PacketType::pubrec).code, 0);
    auto subscriber = broker.client(version);
    ASSERT_EQ(subscriber.connect("s"), 0);
    ASSERT_EQ(subscriber.subscribe({{.filter = "a/+", .qos = 1}}), std::vector<int>{1});
    const auto retained = subscriber.next_publish();
    EXPECT_EQ(as_text(retained.payload), "retained");
    EXPECT_TRUE(retained.retain);
    EXPECT_EQ(retained.qos, 1);
    subscriber.ack(retained.packet_id);
    publisher.publish("a/b", "live", 0, 0, true);
    const auto live = subscriber.next_publish();
    EXPECT_EQ(as_text(live.payload), "live");
    EXPECT_FALSE(live.retain);
  }
}

TEST(Server, ALargePacketPassesAndOneBeyondTheLimitIsRefused) {
  log::Options log_options = hub::SimHub::small_log();
  log_options.journal_size = 1 << 20;
  Broker broker(5, {.limits = {.packet_max = 300'000}}, 1, log_options);
  auto subscriber = broker.client();
  ASSERT_EQ(subscriber.connect("s"), 0);
  subscriber.subscribe({{.filter = "t"}});
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  const std::string payload(250'000, 'x');
  publisher.publish("t", payload, 1, 1);
  publisher.publish("t", "after", 1, 2);
  EXPECT_EQ(publisher.next_ack().packet_id, 1);
  EXPECT_EQ(publisher.next_ack().packet_id, 2);
  EXPECT_TRUE(as_text(subscriber.next_publish().payload) == payload);
  EXPECT_EQ(as_text(subscriber.next_publish().payload), "after");
  publisher.publish("t", std::string(400'000, 'x'));
  EXPECT_EQ(publisher.next_disconnect(), 0x95);
}

// The client id may belong to the other shard: then bytes wait while it is asked.
TEST(Server, APacketMayBeginBeforeConnackAndEndAfterIt) {
  Broker broker(11, {}, 2);
  for (int i = 0; i < 8; ++i) {
    TestClient client = broker.client();
    Buffer out;
    encode_connect(out, {.client_id = fmt::format("device{}", i)});
    const std::size_t begun = out.size() + 5;
    const OutgoingPublish publish{
        .topic = "a", .payload = as_bytes("x"), .packet_id = 1, .qos = 1, .properties = {}};
    encode_publish(out, Version::v5, publish, measure_publish(Version::v5, publish));

    client.send(Bytes(out).first(begun));
    ASSERT_TRUE(client.next());
    ASSERT_EQ(client.frame().type, PacketType::connack);
    client.send(Bytes(out).subspan(begun));
    EXPECT_EQ(client.next_ack().packet_id, 1);
  }
}

TEST(Server, TheNewerConnectionOfAClientIdWins) {
  Broker broker(6, {}, 2);
  auto older = broker.client(Version::v5, 0);
  ASSERT_EQ(older.connect("same"), 0);
  auto newer = broker.client(Version::v5, 1);
  ASSERT_EQ(newer.connect("same"), 0);
  EXPECT_EQ(older.next_disconnect(), 0x8e);
  EXPECT_FALSE(older.next());
  newer.publish("t", "x", 1, 1);
  EXPECT_EQ(newer.next_ack().packet_id, 1);
  EXPECT_EQ(broker.servers[0]->connections(), 0u);
}

TEST(Server, TheWillIsPublishedUnlessTheClientSaysGoodbye) {
  Broker broker(7);
  auto subscriber = broker.client();
  ASSERT_EQ(subscriber.connect("s"), 0);
  subscriber.subscribe({{.filter = "will/#"}});
  const auto with_will = [](std::string_view topic) {
    return Connect{.will = Will{.topic = topic, .payload = as_bytes("gone")}};
  };
  auto polite = broker.client();
  ASSERT_EQ(polite.connect("polite", with_will("will/polite")), 0);
  polite.disconnect();
  EXPECT_FALSE(polite.next());
  auto asking = broker.client();
  ASSERT_EQ(asking.connect("asking", with_will("will/asking")), 0);
  asking.disconnect(0x04);
  EXPECT_EQ(subscriber.next_publish().topic, "will/asking");
  auto vanishing = broker.client(Version::v3_1_1);
  ASSERT_EQ(vanishing.connect("vanishing", with_will("will/vanishing")), 0);
  vanishing.wire().close();
  EXPECT_EQ(subscriber.next_publish().topic, "will/vanishing");
}

TEST(Server, SilentConnectionsAreClosed) {
  Broker broker(8);
  auto mute = broker.client();
  EXPECT_FALSE(mute.next()) << "no CONNECT";
  auto silent = broker.client();
  ASSERT_EQ(silent.connect("silent", {.keep_alive_s = 10}), 0);
  auto patient = broker.client();
  ASSERT_EQ(patient.connect("patient", {.keep_alive_s = 0}), 0);
  const auto start = broker.hub.world.now();
  EXPECT_EQ(silent.next_disconnect(), 0x8d);
  const auto after = broker.hub.world.now() - start;
  EXPECT_GE(after, std::chrono::seconds(15));
  EXPECT_LE(after, std::chrono::seconds(18));
  EXPECT_EQ(broker.servers[0]->connections(), 1u);
}

TEST(Server, BadInputEndsOneConnectionWithAReasonAndIsCounted) {
  Broker broker(9);
  auto bystander = broker.client();
  ASSERT_EQ(bystander.connect("bystander"), 0);
  const std::vector<std::pair<std::string, int>> table = {
      {std::string("\x00\x00", 2), 0x81},                           // type 0
      {std::string("\x10\x00", 2), 0x82},                           // a second CONNECT
      {std::string("\x36\x07\x00\x01t\x00\x01\x00x", 9), 0x81},     // QoS 3
      {std::string("\x30\x07\x00\x01t\x03\x23\x00\x00", 9), 0x94},  // topic alias 0
      {std::string("\x30\x06\x00\x00\x03\x23\x00\x01", 8), 0x82},   // topic alias not known
      {std::string("\x30\x04\x00\x01+\x00", 6), 0x81},              // wildcard
      {std::string("\xf0\x00", 2), 0x82},                           // AUTH
      {std::string("\x20\x02\x00\x00", 4), 0x82},                   // CONNACK
  };
  for (const auto& [bytes, code] : table) {
    auto client = broker.client();
    ASSERT_EQ(client.connect("bad"), 0);
    client.send(as_bytes(bytes));
    EXPECT_EQ(client.next_disconnect(), code);
    EXPECT_FALSE(client.next()) << "closed";
  }
  auto old = broker.client(Version::v3_1_1);
  old.send(as_bytes(std::string_view("\x10\x0e\x00\x06MQIsdp\x02\x02\x00\x00\x00\x00", 16)));
  ASSERT_TRUE(old.next());
  EXPECT_EQ(decode_connack(old.frame().body, Version::v3_1_1)->code, 1);
  bystander.publish("t", "x", 1, 1);
  EXPECT_EQ(bystander.next_ack().packet_id, 1);
  EXPECT_NE(broker.metrics().find("sluice_mqtt_refusals_total{reason=\"topic_alias_invalid\"} 1"),
            std::string::npos);
}

TEST(Server, SubscriptionsAreRefusedOneByOne) {
  Broker broker(10);
  auto client = broker.client();
  ASSERT_EQ(client.connect("c"), 0);
  const std::vector<Subscription> wanted = {{.filter = "a", .qos = 2},
                                            {.filter = "a/#/b"},
                                            {.filter = "$share/g/a"},
                                            {.filter = "$share/g"}};
  EXPECT_EQ(client.subscribe(wanted), (std::vector<int>{2, 0x8f, 0, 0x8f}));
  auto old = broker.client(Version::v3_1_1);
  ASSERT_EQ(old.connect("old"), 0);
  EXPECT_EQ(old.subscribe(wanted), (std::vector<int>{2, 0x80, 0, 0x80}));
}

TEST(Server, StoppingTellsTheClients) {
  Broker broker(11);
  auto client = broker.client();
  ASSERT_EQ(client.connect("c"), 0);
  broker.servers[0]->stop();
  EXPECT_EQ(client.next_disconnect(), 0x8b);
  EXPECT_EQ(broker.servers[0]->connections(), 0u);
}

}  // namespace
}  // namespace sluice::mqtt
