// Replays of stored sessions, through servers on one shard and on two, over crashes.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mqtt/stored_server_test.h"

namespace sluice::mqtt {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

const std::string replay = "$stream/mqtt/a/#";

// A client that reads a replay. Messages may come before the SUBACK of what they come by.
class Reader {
 public:
  explicit Reader(TestClient client) : client_(std::move(client)) {}

  void subscribe(std::optional<std::string_view> place = std::nullopt, std::uint8_t qos = 1,
                 std::uint32_t id = 0, const std::string& text = replay) {
    Buffer properties;
    PropertyWriter writer(properties);
    if (place) writer.user("stream-offset", *place);
    if (id != 0) writer.number(PropertyId::subscription_id, id);
    Buffer filters;
    append_subscription(filters, {.filter = text, .qos = qos});
    Buffer out;
    encode_subscribe(out, Version::v5,
                     {.packet_id = 1, .properties = {properties}, .filters = filters});
    client_.send(out);
    read_until(PacketType::suback);
    const auto ack = decode_subscribe_ack(client_.frame().body, Version::v5);
    ASSERT_EQ(std::to_integer<int>(ack->codes[0]), qos);
  }
  void unsubscribe() {
    Buffer filters;
    append_filter(filters, replay);
    Buffer out;
    encode_unsubscribe(out, Version::v5, {.packet_id = 1, .properties = {}, .filters = filters});
    client_.send(out);
    read_until(PacketType::unsuback);
  }

  struct Message {
    std::string text;  // the payload; with DUP a "+" behind it
    std::uint16_t packet_id;
    std::uint32_t subscription = 0;  // its identifier
  };
  // The next one, which is not acknowledged.
  Message next() {
    if (messages_.empty()) read_until(PacketType::publish);
    Message message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }
  // The next ones, acknowledged.
  Strings take(int count) {
    Strings all;
    for (int i = 0; i < count; ++i) {
      const Message message = next();
      all.push_back(message.text);
      if (message.packet_id != 0) client_.ack(message.packet_id);
    }
    return all;
  }
  bool is_silent() { return messages_.empty() && !client_.next(1s); }
  [[nodiscard]] TestClient& client() { return client_; }

 private:
  void read_until(PacketType type) {
    do {
      SLUICE_ASSERT(client_.next());
      if (client_.frame().type == PacketType::publish) keep();
    } while (client_.frame().type != type);
  }
  void keep() {
    const Publish publish = decode_publish(client_.frame(), Version::v5).value();
    Message message{.text = std::string(as_text(publish.payload)) + (publish.dup ? "+" : ""),
                    .packet_id = publish.packet_id};
    for_each_property(publish.properties, [&](const Property& property) {
      if (property.id == PropertyId::subscription_id) message.subscription = property.number;
    });
    messages_.push_back(std::move(message));
  }

  TestClient client_;
  std::deque<Message> messages_;  // that have been read
};

class ReplayStored : public StoredServerTest {
 protected:
  Reader reader() { return Reader(client("c")); }
  void lose(Reader& reader) { StoredServerTest::lose(reader.client()); }
  void publish_numbers(int from, int until) {
    for (int i = from; i < until; ++i) publish(std::to_string(i));
  }
  void delete_before(Offset before) {
    stream::Stream& stream = broker->hub.stream();
    bool done = false;
    stream.delete_records({stream.catalogue().find("mqtt")->id, 0}, before,
                          [&](const Result<Offset>&) { done = true; });
    ASSERT_TRUE(broker->hub.world.run_until([&] { return done; }));
  }
};

INSTANTIATE_TEST_SUITE_P(Shards, ReplayStored, testing::Values(1u, 2u));

TEST_P(ReplayStored, GoesOnWithTheFirstMessageThatWasNotAcknowledged) {
  publish_numbers(0, 5);
  {
    auto one = reader();
    one.subscribe();
    EXPECT_EQ(one.take(3), (Strings{"0", "1", "2"}));
    EXPECT_EQ(one.next().text, "3");
    EXPECT_EQ(one.next().text, "4");
    lose(one);
  }
  publish_numbers(5, 6);
  {
    auto two = reader();
    EXPECT_EQ(two.take(3), (Strings{"3+", "4+", "5"}));
    lose(two);
  }
  publish_numbers(6, 7);
  crash();
  publish_numbers(7, 8);
  auto three = reader();
  EXPECT_EQ(three.take(2), (Strings{"6", "7"}));
  EXPECT_TRUE(three.is_silent());
}

TEST_P(ReplayStored, AfterACrashGoesOnWhereItWasSavedLast) {
  publish_numbers(0, 3);
  {
    auto one = reader();
    one.subscribe();
    one.take(3);
    broker->hub.world.run_for(15s);
    publish_numbers(3, 4);
    one.take(1);
  }
  crash();
  auto two = reader();
  EXPECT_EQ(two.take(1), Strings{"3+"}) << "it may have been sent";
  EXPECT_TRUE(two.is_silent());
}

TEST_P(ReplayStored, GoesOnOverATakeOver) {
  publish_numbers(0, 3);
  auto one = reader();
  one.subscribe();
  EXPECT_EQ(one.take(2), (Strings{"0", "1"}));
  broker->hub.world.run_for(1s);
  auto two = reader();
  EXPECT_EQ(two.take(1), Strings{"2+"});
  publish_numbers(3, 4);
  EXPECT_EQ(two.take(1), Strings{"3"});
}

TEST_P(ReplayStored, ThatIsAskedForAgainBeginsAnewOnlyIfAPlaceIsNamed) {
  publish_numbers(0, 3);
  auto one = reader();
  one.subscribe("1");
  EXPECT_EQ(one.take(2), (Strings{"1", "2"}));
  lose(one);
  auto two = reader();
  two.subscribe();
  EXPECT_TRUE(two.is_silent());
  two.subscribe("earliest");
  EXPECT_EQ(two.take(3), (Strings{"0", "1", "2"}));
  lose(two);
  auto three = reader();
  EXPECT_TRUE(three.is_silent());
}

TEST_P(ReplayStored, AtQos0GoesOnBehindWhatWasSent) {
  publish_numbers(0, 3);
  auto one = reader();
  one.subscribe(std::nullopt, 0);
  EXPECT_EQ(one.take(3), (Strings{"0", "1", "2"}));
  lose(one);
  publish_numbers(3, 5);
  auto two = reader();
  EXPECT_EQ(two.take(2), (Strings{"3", "4"}));
}

std::set<std::uint32_t> subscriptions_of_two(Reader& reader) {
  const auto one = reader.next().subscription;
  return {one, reader.next().subscription};
}

// The same record may be in flight twice, once of each.
TEST_P(ReplayStored, IsApartFromTheOtherFiltersOfItsSession) {
  {
    auto one = reader();
    one.subscribe(std::nullopt, 1, 6, "a/#");
    one.subscribe(std::nullopt, 1, 7);
    publish_numbers(0, 1);
    EXPECT_EQ(subscriptions_of_two(one), (std::set<std::uint32_t>{6, 7}));
    lose(one);
  }
  crash();
  auto two = reader();
  EXPECT_EQ(subscriptions_of_two(two), (std::set<std::uint32_t>{6, 7}));
  EXPECT_TRUE(two.is_silent());
}

TEST_P(ReplayStored, ThatWasGivenUpDoesNotComeBack) {
  publish_numbers(0, 2);
  {
    auto one = reader();
    one.subscribe();
    one.take(1);
    one.unsubscribe();
    lose(one);
  }
  crash();
  {
    auto two = reader();
    EXPECT_EQ(two.take(1), Strings{"1+"}) << "what was in flight is completed";
    publish_numbers(2, 3);
    EXPECT_TRUE(two.is_silent());
    two.subscribe();
    EXPECT_EQ(two.take(3), (Strings{"0", "1", "2"})) << "another one";
  }
}

TEST_P(ReplayStored, WhatRetentionTookFromItIsCounted) {
  publish_numbers(0, 2);
  auto one = reader();
  one.subscribe();
  one.take(2);
  lose(one);
  publish_numbers(2, 6);
  delete_before(Offset{5});
  auto two = reader();
  EXPECT_EQ(two.take(1), Strings{"5"});
  lose(two);
  std::optional<sessions::Lost> lost;
  broker->sessions[0]->show("c", [&](const Result<std::optional<sessions::Details>>& found) {
    lost = found->value().progress.lost;
  });
  ASSERT_TRUE(broker->hub.world.run_until([&] { return lost.has_value(); }));
  EXPECT_EQ(*lost, sessions::Lost{.retention = 3});
}

}  // namespace
}  // namespace sluice::mqtt
