// What traces show of MQTT clients, on the simulated network.

#include <gtest/gtest.h>

#include "hub/trace_log_test.h"
#include "mqtt/broker_test.h"

namespace sluice::mqtt {
namespace {

using hub::TraceLog;
using By = trace::Query::By;

std::string event(const std::string& name) { return "\"event\":\"" + name + '"'; }
std::string packet(const std::string& name) { return "\"packet\":\"" + name + '"'; }
std::string reason(const std::string& word) { return "\"reason\":\"" + word + '"'; }

constexpr Version both[] = {Version::v3_1_1, Version::v5};

TEST(Trace, AClientsPacketsAreShownInBothDirectionsInOrder) {
  for (const Version version : both) {
    Broker broker(1);
    TraceLog log(broker.hub, {By::client, "dev"});
    auto client = broker.client(version);
    auto other = broker.client(version);
    ASSERT_EQ(client.connect("dev", {.keep_alive_s = 60, .user = "ann"}), 0);
    ASSERT_EQ(other.connect("other"), 0);
    client.subscribe({{.filter = "a/+", .qos = 1}});
    client.publish("a/b", "12345", 1, 9);
    client.next();
    client.next();
    client.ack(1);
    client.disconnect();
    ASSERT_NE(log.wait({event("ended"), reason("success")}), "") << log.all();
    const std::vector<std::vector<std::string>> expected{
        {event("received"), packet("CONNECT"), "\"client\":\"dev\"",
         "\"peer\":", "\"keep_alive_s\":60", "\"user\":\"ann\""},
        {event("login"), "\"ok\":true"},
        {event("sent"), packet("CONNACK")},
        {event("received"), packet("SUBSCRIBE"), R"("filters":[{"filter":"a/+","qos":1)"},
        {event("sent"), packet("SUBACK"), R"("codes":["0x01"])"},
        {event("received"), packet("PUBLISH"), R"("topic":"a/b","payload_size":5)",
         "\"qos\":1,\"id\":9"},
        {event("stored"), "\"client\":\"dev\"", "\"offset\":0"},
        {event("received"), packet("PUBACK"), "\"id\":1"},
        {event("received"), packet("DISCONNECT")}};
    auto at = log.lines.begin();
    for (const auto& parts : expected) {
      at = std::find_if(at, log.lines.end(), [&](const std::string& line) {
        return std::ranges::all_of(
            parts, [&](const auto& part) { return line.find(part) != std::string::npos; });
      });
      ASSERT_NE(at, log.lines.end()) << parts[0] << parts[1] << '\n' << log.all();
    }
    EXPECT_EQ(log.count({event("delivered"), packet("PUBLISH"),
                         R"("stream":"mqtt","partition":0,"offset":0)", "\"id\":1"}),
              1)
        << log.all();
    EXPECT_EQ(log.count({event("sent"), packet("PUBACK"), "\"id\":9"}), 1) << log.all();
    EXPECT_EQ(log.count({packet("PUBLISH")}), 2) << "one in, one out\n" << log.all();
    EXPECT_EQ(log.count({"other"}), 0) << log.all();
  }
}

TEST(Trace, AnAddressShowsThoseWhoComeNoFurtherThanTheirFirstBytes) {
  Broker broker(2);
  auto client = broker.client();
  const std::string address = client.wire().local_endpoint().address;
  TraceLog log(broker.hub, {By::ip, address});
  auto second = broker.client();
  second.send(as_bytes(std::string_view("GET / HTTP/1.1\r\n\r\n")));
  EXPECT_NE(log.wait({event("accepted"), "\"transport\":\"tcp\""}), "") << log.all();
  EXPECT_NE(log.wait({event("ended"), "\"peer\":\"" + address, "HTTP came to a listener of MQTT"}),
            "")
      << log.all();
}

TEST(Trace, APublishThatIsNotPermittedSaysSo) {
  class Forbidding final : public access::Access {
   public:
    void log_in(const access::Login&, Done<access::Principal> done) override {
      done(access::Principal{});
    }
    Result<access::Principal> admit(const access::Login&) override { return access::Principal{}; }
    [[nodiscard]] bool login_required() const override { return false; }
    Result<access::Credential> credential(std::string_view, access::Digest) override {
      return fail(Errc::unsupported, "none");
    }
    void refused(const access::Login&, const Error&) override {}
    Result<void> check(const access::Principal&, access::Action action, std::string_view) override {
      if (action == access::Action::publish) return fail(Errc::unauthorized, "no");
      return {};
    }
    [[nodiscard]] bool unrestricted(const access::Principal&) const override { return false; }
  };
  hub::SimHub sim(3);
  Forbidding access;
  const auto delayed = delayed_of(sim);
  Server server(sim.world.loop(0), *sim.hubs[0], *delayed, access, sim.metrics[0], {.seed = 1});
  TestClient client(sim.world, server.listen({"127.0.0.1", 0}).value(), Version::v3_1_1);
  ASSERT_EQ(client.connect("dev"), 0);
  TraceLog log(sim, {By::topic, "#"});
  client.publish("a", "x", 1, 1);
  EXPECT_EQ(client.next_ack().packet_id, 1) << "3.1.1 cannot refuse it";
  EXPECT_NE(log.wait({event("not_stored"), "\"client\":\"dev\"", "\"topic\":\"a\"",
                      reason("not_authorized")}),
            "")
      << log.all();
}

TEST(Trace, ALoweredQosShowsBoth) {
  Broker broker(4);
  auto client = broker.client();
  ASSERT_EQ(client.connect("dev"), 0);
  client.subscribe({{.filter = "a", .qos = 0}});
  TraceLog log(broker.hub, {By::client, "dev"});
  client.publish("a", "x", 1, 1);
  EXPECT_NE(log.wait({event("delivered"), "\"qos\":0", "\"published_qos\":1"}), "") << log.all();
}

TEST(Trace, WhatIsTooLargeForTheClientIsNotDeliveredAndSaysWhy) {
  Broker broker(5);
  auto client = broker.client();
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::maximum_packet_size, 100);
  ASSERT_EQ(client.connect("dev", {.properties = {properties}}), 0);
  client.subscribe({{.filter = "a"}});
  TraceLog log(broker.hub, {By::topic, "a"});
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  publisher.publish("a", std::string(200, 'x'));
  publisher.publish("a", "small");
  EXPECT_EQ(as_text(client.next_publish().payload), "small");
  EXPECT_NE(log.wait({event("not_delivered"), "\"client\":\"dev\"", reason("packet_too_large")}),
            "")
      << log.all();
  EXPECT_EQ(log.count({event("delivered"), "\"client\":\"dev\""}), 1) << log.all();
}

TEST(Trace, AMessageThatHasExpiredIsNotDeliveredAndSaysWhy) {
  Broker broker(6, {.limits = {.max_inflight = 1}});
  auto client = broker.client();
  ASSERT_EQ(client.connect("dev"), 0);
  client.subscribe({{.filter = "a", .qos = 1}});
  TraceLog log(broker.hub, {By::topic, "a"});
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  publisher.publish("a", "first", 1, 1);
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::message_expiry, 1);
  publisher.publish("a", "short-lived", 1, 2, false, {properties});
  EXPECT_NE(log.wait({event("delivered")}), "") << log.all();
  broker.hub.world.run_for(std::chrono::seconds(3));
  client.next_publish();
  client.ack(1);
  EXPECT_NE(log.wait({event("not_delivered"), reason("expired")}), "") << log.all();
}

TEST(Trace, AFullWindowIsTheReasonForALag) {
  Broker broker(7, {.limits = {.max_inflight = 2}});
  auto client = broker.client();
  ASSERT_EQ(client.connect("dev"), 0);
  client.subscribe({{.filter = "a", .qos = 1}});
  TraceLog log(broker.hub, {By::client, "dev"});
  auto publisher = broker.client();
  ASSERT_EQ(publisher.connect("p"), 0);
  for (std::uint16_t i = 1; i <= 5; ++i) publisher.publish("a", "x", 1, i);
  EXPECT_NE(log.wait({event("full"), reason("client_does_not_acknowledge"), "\"in_flight\":2"}), "")
      << log.all();
  EXPECT_NE(log.wait({event("left_tail"), reason("takes_no_more")}), "") << log.all();
  for (std::uint16_t i = 1; i <= 5; ++i) client.ack(client.next_publish().packet_id);
  EXPECT_NE(log.wait({event("joined_tail")}), "") << log.all();
  EXPECT_EQ(log.count({event("delivered")}), 5) << log.all();
}

TEST(Trace, TopicsBehindAliasesAreKnown) {
  Broker broker(8);
  auto client = broker.client();
  ASSERT_EQ(client.connect("dev"), 0);
  Buffer alias;
  PropertyWriter(alias).number(PropertyId::topic_alias, 3);
  client.publish("a/b", "1", 0, 0, false, {alias});
  client.publish("", "2", 0, 0, false, {alias});
  TraceLog log(broker.hub, {By::topic, "a/b"});
  client.publish("", "3", 0, 0, false, {alias});
  EXPECT_NE(log.wait({event("received"), "\"topic\":\"a/b\"", "\"topic_alias\":3"}), "")
      << log.all();
}

TEST(Trace, RetainedMessagesAreShownAsSuch) {
  Broker broker(9);
  auto client = broker.client();
  ASSERT_EQ(client.connect("dev"), 0);
  client.publish("a", "kept", 1, 1, true);
  client.next_ack();
  TraceLog log(broker.hub, {By::client, "dev"});
  client.subscribe({{.filter = "a"}});
  EXPECT_NE(log.wait({event("delivered"), "\"retained\":true", "\"topic\":\"a\""}), "")
      << log.all();
}

TEST(Trace, AWillIsAnnounced) {
  Broker broker(10);
  auto client = broker.client();
  ASSERT_EQ(client.connect(
                "dev", {.will = Will{.topic = "gone", .payload = as_bytes(std::string_view("x"))}}),
            0);
  TraceLog log(broker.hub, {By::client, "dev"});
  client.wire().close();
  EXPECT_NE(log.wait({event("will"), "\"topic\":\"gone\""}), "") << log.all();
  EXPECT_NE(log.wait({event("stored"), "\"topic\":\"gone\""}), "") << log.all();
}

TEST(Trace, ClientsThatAreNotTracedGetTheSame) {
  Broker broker(11);
  auto client = broker.client();
  ASSERT_EQ(client.connect("dev"), 0);
  client.subscribe({{.filter = "a", .qos = 1}});
  TraceLog log(broker.hub, {By::client, "somebody else"});
  for (std::uint16_t i = 1; i <= 100; ++i) client.publish("a", std::to_string(i), 1, i);
  int received = 0;
  for (int packets = 0; packets < 200; ++packets) {
    ASSERT_TRUE(client.next());
    received += client.frame().type == PacketType::publish ? 1 : 0;
  }
  EXPECT_EQ(received, 100);
  EXPECT_TRUE(log.lines.empty()) << log.all();
}

}  // namespace
}  // namespace sluice::mqtt
