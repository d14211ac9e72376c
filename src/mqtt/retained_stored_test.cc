// Retained messages for stored sessions, through servers on one shard and on two, over crashes.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "mqtt/stored_server_test.h"

namespace sluice::mqtt {
namespace {

constexpr int topics = 20;

// The other side of a session at QoS 2: what it has got, and which exchanges are open.
struct Receiver {
  std::map<std::string, int> got;
  std::set<std::uint16_t> open;

  void take(TestClient& client) {
    const PacketType type = client.frame().type;
    if (type == PacketType::pubrel) {
      const auto id = decode_ack(client.frame().body, Version::v5)->packet_id;
      open.erase(id);
      return client.ack(id, PacketType::pubcomp);
    }
    ASSERT_EQ(type, PacketType::publish);
    const Publish publish = decode_publish(client.frame(), Version::v5).value();
    EXPECT_TRUE(publish.retain);
    if (open.insert(publish.packet_id).second) ++got[std::string(as_text(publish.payload))];
    client.ack(publish.packet_id, PacketType::pubrec);
  }
};

class RetainedStored : public StoredServerTest {
 protected:
  RetainedStored() {
    auto publisher = client("p", false);
    for (int i = 0; i < topics; ++i) {
      publisher.publish(fmt::format("a/{}", i), std::to_string(i), 2, 1, true);
      publisher.next_ack(PacketType::pubrec);
      publisher.ack(1, PacketType::pubrel);
      publisher.next_ack(PacketType::pubcomp);
    }
  }
  TestClient subscriber() { return client("s", true, 3); }
};

INSTANTIATE_TEST_SUITE_P(Shards, RetainedStored, testing::Values(1u, 2u));

TEST_P(RetainedStored, ComeOnceEachAtQos2HoweverOftenTheConnectionOrTheHubGoes) {
  Receiver receiver;
  {
    auto first = subscriber();
    ASSERT_EQ(first.subscribe({{.filter = "a/#", .qos = 2}}), std::vector<int>{2});
    ASSERT_TRUE(first.next());
    receiver.take(first);
    lose(first);
  }
  for (int round = 0; round < 100; ++round) {
    {
      auto again = subscriber();
      for (int i = 0; i <= round % 5; ++i)
        if (again.next(std::chrono::seconds(1))) receiver.take(again);
      if (round % 3 > 0) lose(again);
    }
    if (round % 3 == 0) crash();
  }
  auto last = subscriber();
  while (last.next(std::chrono::seconds(1))) receiver.take(last);
  EXPECT_EQ(receiver.got.size(), static_cast<std::size_t>(topics));
  for (const auto& [payload, times] : receiver.got) EXPECT_EQ(times, 1) << payload;
}

// [MQTT-4.4.0-1]
TEST_P(RetainedStored, InFlightTheyAreSentAgainWithTheirPacketIds) {
  std::map<std::uint16_t, std::string> sent;
  {
    auto first = subscriber();
    ASSERT_EQ(first.subscribe({{.filter = "a/#", .qos = 2}}), std::vector<int>{2});
    for (int i = 0; i < 3; ++i) {
      const Publish publish = first.next_publish();
      sent[publish.packet_id] = as_text(publish.payload);
    }
    lose(first);
  }
  auto again = subscriber();
  for (const auto& [id, payload] : sent) {
    const Publish publish = again.next_publish();
    EXPECT_EQ(publish.packet_id, id);
    EXPECT_EQ(as_text(publish.payload), payload);
    EXPECT_TRUE(publish.dup);
  }
  EXPECT_TRUE(is_silent(again));
}

}  // namespace
}  // namespace sluice::mqtt
