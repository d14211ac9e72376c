#include "mqtt/kept_back.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "mqtt/broker_test.h"

namespace sluice::mqtt {
namespace {

using std::chrono::seconds;

std::vector<std::uint32_t> released(KeptBack& list, runtime::TimePoint now) {
  std::vector<std::uint32_t> indexes;
  list.release(now, [&](hub::Handle handle) { indexes.push_back(handle.index); });
  return indexes;
}

TEST(KeptBack, WhoHasWaitedLongEnoughIsReleasedInItsOrder) {
  KeptBack list;
  const runtime::TimePoint start{seconds(100)};
  EXPECT_TRUE(list.add({.index = 7}, start));
  EXPECT_TRUE(list.add({.index = 3}, start));
  EXPECT_TRUE(list.add({.index = 5}, start + seconds(1)));
  EXPECT_TRUE(released(list, start + KeptBack::time_max - seconds(1)).empty());
  EXPECT_EQ(released(list, start + KeptBack::time_max), (std::vector<std::uint32_t>{7, 3}));
  EXPECT_FALSE(list.empty());
  EXPECT_EQ(released(list, start + KeptBack::time_max + seconds(1)),
            (std::vector<std::uint32_t>{5}));
  EXPECT_TRUE(list.empty());
}

TEST(KeptBack, TooManyDoNotWait) {
  KeptBack list;
  for (std::uint32_t i = 0; i < KeptBack::connections_max; ++i) ASSERT_TRUE(list.add({i}, {}));
  EXPECT_FALSE(list.add({.index = 1}, {}));
}

// Many clients that lag, each with a message in every stretch of the log, which holds much for none
// of them beside.
TEST(KeptBack, OneOfManyWhoComeBackGetsSomeMessagesAtOnce) {
  constexpr std::uint16_t window = 12;
  constexpr int clients_count = 700;
  constexpr int missed = window / 2;
  Broker broker{1};
  TestClient publisher = broker.client();
  publisher.connect("publisher");
  const auto publish = [&](const std::string& topic, std::size_t size) {
    publisher.publish(topic, std::string(size, '.'), 1, 1);
    publisher.next_ack();
  };
  std::vector<TestClient> clients;
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::receive_maximum, window);
  for (int i = 0; i < clients_count; ++i) {
    clients.push_back(broker.client());
    ASSERT_EQ(clients.back().connect(std::to_string(i), {.properties = {properties}}), 0);
    const std::string filter = "+/" + std::to_string(i);
    clients.back().subscribe({{.filter = filter, .qos = 1}});
  }
  for (int round = 0; round < window + missed; ++round)
    for (int i = 0; i < clients_count; ++i) {
      publish("t/" + std::to_string(i), 10);
      if (round >= window && i % 6 == 0) publish("t/none", 12'000);
    }
  for (TestClient& client : clients)
    for (std::uint16_t id = 1; id <= window; ++id) ASSERT_EQ(client.next_publish().packet_id, id);
  for (TestClient& client : clients)
    for (std::uint16_t id = 1; id <= window; ++id) client.ack(id);

  const auto size_of_one = clients.front().frame().size;
  std::vector<std::size_t> at_first(clients.size());  // bytes that came together
  const auto look = [&](std::size_t i) {
    const std::size_t got = clients[i].wire().received().size() - clients[i].frame().size;
    if (at_first[i] == 0) at_first[i] = got;
    return at_first[i] > 0;
  };
  ASSERT_TRUE(broker.hub.world.run_until([&] {
    bool all = true;
    for (std::size_t i = 0; i < clients.size(); ++i) all = look(i) && all;
    return all;
  }));
  EXPECT_GT(std::ranges::count_if(at_first, [&](auto got) { return got > 3 * size_of_one; }),
            clients_count / 3);
  for (TestClient& client : clients) {
    for (int i = 0; i < missed; ++i) client.ack(client.next_publish().packet_id);
    EXPECT_FALSE(client.next(std::chrono::milliseconds(1)));
  }
}

}  // namespace
}  // namespace sluice::mqtt
