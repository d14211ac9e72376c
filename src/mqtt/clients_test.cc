#include "mqtt/clients.h"

#include <gtest/gtest.h>

#include <deque>

#include "mqtt/broker_test.h"

namespace sluice::mqtt {
namespace {

using Names = std::vector<std::string>;

ClientPage list(Broker& broker, PageQuery query) {
  std::optional<ClientPage> page;
  broker.servers[0]->clients().list(std::move(query),
                                    [&](ClientPage got) { page = std::move(got); });
  SLUICE_ASSERT(broker.hub.world.run_until([&] { return page.has_value(); }));
  return *page;
}

Names names(const ClientPage& page) {
  Names all;
  for (const ClientState& client : page.clients) all.push_back(client.client_id);
  return all;
}

std::optional<ClientState> show(Broker& broker, const std::string& id) {
  std::optional<std::optional<ClientState>> answer;
  broker.servers[0]->clients().show(
      id, [&](std::optional<ClientState> got) { answer = std::move(got); });
  SLUICE_ASSERT(broker.hub.world.run_until([&] { return answer.has_value(); }));
  return *answer;
}

bool kick(Broker& broker, const std::string& id) {
  std::optional<bool> answer;
  broker.servers[0]->clients().kick(id, "because", [&](bool was_there) { answer = was_there; });
  SLUICE_ASSERT(broker.hub.world.run_until([&] { return answer.has_value(); }));
  return *answer;
}

TEST(Clients, AreListedInOrderPageByPage) {
  Broker broker(1);
  std::deque<TestClient> clients;
  for (const char* id : {"d", "b", "aa", "a", "c"}) {
    clients.push_back(broker.client());
    ASSERT_EQ(clients.back().connect(id), 0);
  }
  auto silent = broker.client();  // no CONNECT
  broker.hub.world.run_for(std::chrono::seconds(1));
  const ClientPage first = list(broker, {.limit = 2});
  EXPECT_EQ(names(first), (Names{"a", "aa"}));
  EXPECT_TRUE(first.has_more);
  EXPECT_EQ(first.total, 6u);
  const ClientPage second = list(broker, {.after = "aa", .limit = 3});
  EXPECT_EQ(names(second), (Names{"b", "c", "d"}));
  EXPECT_FALSE(second.has_more);
  EXPECT_EQ(names(list(broker, {.contains = "a"})), (Names{"a", "aa"}));
  EXPECT_TRUE(list(broker, {.after = "d"}).clients.empty());
}

TEST(Clients, AreFoundAmongMoreThanOneSlice) {
  Broker broker(2);
  std::deque<TestClient> clients;
  for (int i = 0; i < 2500; ++i) {
    clients.push_back(broker.client());
    ASSERT_EQ(clients.back().connect("c" + std::to_string(10'000 + i)), 0);
  }
  EXPECT_EQ(list(broker, {.limit = 5000}).clients.size(), 2500u);
  EXPECT_TRUE(show(broker, "c12499"));
}

TEST(Clients, ShowWhatIsKnownOfThem) {
  Broker broker(3, {.limits = {.max_inflight = 2}});
  auto client = broker.client(Version::v3_1_1);
  ASSERT_EQ(client.connect("dev", {.keep_alive_s = 60,
                                   .will = Will{.topic = "w", .qos = 1, .retain = true},
                                   .user = "ann"}),
            0);
  broker.hub.world.run_for(std::chrono::seconds(10));
  client.subscribe({{.filter = "a/#", .qos = 1}, {.filter = "b", .qos = 0}});
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  for (std::uint16_t i = 1; i <= 5; ++i) publisher.publish("a/x", "x", 1, i);
  for (int i = 0; i < 5; ++i) publisher.next_ack();
  client.next_publish();

  const auto state = show(broker, "dev");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->user, "ann");
  EXPECT_EQ(state->version, Version::v3_1_1);
  EXPECT_EQ(state->keep_alive_s, 60);
  EXPECT_EQ(state->peer, to_string(client.wire().local_endpoint()));
  EXPECT_EQ(state->listener, to_string(broker.endpoints[0]));
  EXPECT_NEAR(static_cast<double>(broker.hub.world.loop(0).wall_ms() - state->connected_ms), 10'000,
              1500);
  ASSERT_TRUE(state->will);
  EXPECT_EQ(state->will->topic, "w");
  EXPECT_EQ(state->subscription_count, 2u);
  ASSERT_EQ(state->subscriber.subscriptions.size(), 2u);
  EXPECT_EQ(state->subscriber.subscriptions[0].filter, "a/#");
  EXPECT_EQ(state->subscriber.subscriptions[0].options.qos, 1);
  EXPECT_EQ(state->in_flight_to, 2u);
  EXPECT_TRUE(state->is_lagging);
  ASSERT_EQ(state->subscriber.behind.size(), 1u);
  EXPECT_EQ(state->subscriber.behind[0].stream, "mqtt");
  EXPECT_EQ(state->subscriber.behind[0].end - state->subscriber.behind[0].next, 3);
  EXPECT_EQ(show(broker, "p")->published, 5u);
  EXPECT_FALSE(show(broker, "de"));
}

TEST(Clients, ShowWhatTheyWereMovedOnPast) {
  using std::chrono::minutes;
  Broker broker(5, {.limits = {.max_inflight = 1, .lag = {.any = {.age = minutes(1)}}}});
  auto client = broker.client();
  ASSERT_EQ(client.connect("dev"), 0);
  client.subscribe({{.filter = "a", .qos = 1}});
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  for (std::uint16_t i = 1; i <= 5; ++i) publisher.publish("a", "old", 1, i);
  for (int i = 0; i < 5; ++i) publisher.next_ack();
  const std::uint16_t first = client.next_publish().packet_id;
  broker.hub.world.run_for(minutes(10));
  publisher.publish("a", "new", 1, 6);
  publisher.next_ack();
  EXPECT_EQ(show(broker, "dev")->lost, sessions::Lost{});
  client.ack(first);
  EXPECT_EQ(as_text(client.next_publish().payload), "new");
  EXPECT_EQ(show(broker, "dev")->lost, sessions::Lost{.lag_limit = 4});
  EXPECT_EQ(show(broker, "p")->lost, sessions::Lost{});
}

TEST(Clients, AKickTellsTheReasonAndPublishesTheWill) {
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    Broker broker(4);
    auto watcher = broker.client();
    ASSERT_EQ(watcher.connect("watcher"), 0);
    watcher.subscribe({{.filter = "gone"}});
    auto client = broker.client(version);
    ASSERT_EQ(client.connect("dev", {.will = Will{.topic = "gone",
                                                  .payload = as_bytes(std::string_view("dev"))}}),
              0);
    EXPECT_TRUE(kick(broker, "dev"));
    if (version == Version::v5) {
      ASSERT_EQ(client.next_disconnect(), 0x98);
    }
    EXPECT_FALSE(client.next()) << "closed";
    EXPECT_EQ(as_text(watcher.next_publish().payload), "dev");
    EXPECT_FALSE(kick(broker, "dev"));
    EXPECT_FALSE(show(broker, "dev"));
  }
}

}  // namespace
}  // namespace sluice::mqtt
