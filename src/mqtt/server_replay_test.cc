// "$stream/<stream>[/<filter>]" through the server, on one shard and on two.
#include <gtest/gtest.h>

#include "mqtt/sharded_server_test.h"

namespace sluice::mqtt {
namespace {

using Strings = std::vector<std::string>;

class ServerReplay : public ShardedServerTest {
 protected:
  void publish(int from, int until) {
    auto publisher = connected("p");
    for (int i = from; i < until; ++i) {
      publisher.publish("a/x", std::to_string(i), 1, 1);
      publisher.next_ack();
    }
  }
  static Strings take(TestClient& client, int count) {
    Strings payloads;
    for (int i = 0; i < count; ++i) {
      const auto message = client.next_publish();
      payloads.emplace_back(as_text(message.payload));
      if (message.qos == 1) client.ack(message.packet_id);
    }
    return payloads;
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, ServerReplay, testing::Values(1u, 2u));

Strings numbers(int from, int until) {
  Strings all;
  for (int i = from; i < until; ++i) all.push_back(std::to_string(i));
  return all;
}

Buffer start(std::string_view place) {
  Buffer properties;
  PropertyWriter(properties).user("stream-offset", place);
  return properties;
}

TEST_P(ServerReplay, BeginsAtTheStartUnlessTheClientSaysOtherwise) {
  publish(0, 5);
  auto old = connected("old", Version::v3_1_1), client = connected("new");
  ASSERT_EQ(old.subscribe({{.filter = "$stream/mqtt", .qos = 1}}), std::vector<int>{1});
  EXPECT_EQ(take(old, 5), numbers(0, 5));
  ASSERT_EQ(client.subscribe({{.filter = "$stream/mqtt/a/+"}}, {start("3")}), std::vector<int>{0});
  EXPECT_EQ(take(client, 2), numbers(3, 5));
  publish(5, 6);
  EXPECT_EQ(take(old, 1), Strings{"5"});
  EXPECT_EQ(take(client, 1), Strings{"5"});
}

TEST_P(ServerReplay, WaitsForTheAcknowledgementsOfASmallReceiveMaximum) {
  publish(0, 30);
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::receive_maximum, 3);
  auto client = connected("c", Version::v5, {properties});
  ASSERT_EQ(client.subscribe({{.filter = "$stream/mqtt", .qos = 1}}), std::vector<int>{1});
  std::vector<std::uint16_t> open;
  for (int i = 0; i < 3; ++i) open.push_back(client.next_publish().packet_id);
  EXPECT_FALSE(client.next(std::chrono::seconds(5)));
  for (const auto id : open) client.ack(id);
  EXPECT_EQ(take(client, 27), numbers(3, 30));
}

TEST_P(ServerReplay, RefusesWhatIsNoPlaceAndSaysSo) {
  auto client = connected("c");
  const auto reason = [&](const std::string& filter, std::string_view place) {
    const auto codes = client.subscribe({{.filter = filter}}, {start(place)});
    std::string text = std::to_string(codes.at(0)) + " ";
    const auto ack = decode_subscribe_ack(client.frame().body, Version::v5);
    for_each_property(ack->properties,
                      [&](const Property& property) { text.append(property.text); });
    return text;
  };
  EXPECT_TRUE(reason("$stream/mqtt", "soon").starts_with("131 stream-offset 'soon' is none of: "));
  EXPECT_EQ(reason("$stream/mqtt", "7"), "131 offset 7 of stream 'mqtt' is beyond its end, 0");
  EXPECT_EQ(reason("$stream/other", "earliest"), "143 there is no stream 'other'");
  EXPECT_EQ(reason("$stream/mqtt", "latest"), "0 ");
}

}  // namespace
}  // namespace sluice::mqtt
