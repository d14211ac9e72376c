// Logins that take their time, over real connections.

#include <gtest/gtest.h>

#include "hub/sim_hub_test.h"
#include "mqtt/broker_test.h"
#include "mqtt/server.h"
#include "mqtt/test_client_test.h"

namespace sluice::mqtt {
namespace {

// Answers each login when the test says so; everybody may do everything.
class SlowAccess final : public access::Access {
 public:
  void log_in(const access::Login& login, Done<access::Principal> done) override {
    users.emplace_back(login.user);
    waiting.push_back(std::move(done));
  }
  Result<access::Principal> admit(const access::Login&) override { return access::Principal{}; }
  [[nodiscard]] bool login_required() const override { return true; }
  Result<access::Credential> credential(std::string_view, access::Digest) override {
    return fail(Errc::unsupported, "there are no users");
  }
  void refused(const access::Login&, const Error&) override {}
  Result<void> check(const access::Principal&, access::Action, std::string_view) override {
    return {};
  }
  [[nodiscard]] bool unrestricted(const access::Principal&) const override { return true; }

  std::vector<std::string> users;
  std::vector<Done<access::Principal>> waiting;
};

struct SlowBroker {
  explicit SlowBroker(Options options = {}) : server(make(options)) {
    endpoint = server->listen({"127.0.0.1", 0}).value();
  }
  std::unique_ptr<Server> make(Options options) {
    options.seed = 1;
    return std::make_unique<Server>(hub.world.loop(0), *hub.hubs[0], *delayed, access,
                                    hub.metrics[0], options);
  }
  // A client whose CONNECT and PUBLISH are sent in one piece.
  TestClient client() {
    TestClient made(hub.world, endpoint);
    Buffer out;
    encode_connect(out, {.client_id = "c", .user = "u", .password = as_bytes("secret")});
    const OutgoingPublish publish{
        .topic = "a", .payload = as_bytes("x"), .packet_id = 1, .qos = 1, .properties = {}};
    encode_publish(out, Version::v5, publish, measure_publish(Version::v5, publish));
    made.send(out);
    SLUICE_ASSERT(hub.world.run_until([&] { return access.waiting.size() == 1; }));
    return made;
  }

  hub::SimHub hub{1};
  SlowAccess access;
  std::unique_ptr<delayed::Delayed> delayed = delayed_of(hub);
  std::unique_ptr<Server> server;
  runtime::Endpoint endpoint;
};

TEST(ServerLogin, WhatComesBehindConnectWaitsForTheAnswer) {
  SlowBroker broker;
  TestClient client = broker.client();
  EXPECT_EQ(broker.access.users, std::vector<std::string>{"u"});
  EXPECT_FALSE(client.next(std::chrono::seconds(5))) << "no CONNACK yet";
  broker.access.waiting[0](access::Principal{});
  ASSERT_TRUE(client.next());
  EXPECT_EQ(decode_connack(client.frame().body, Version::v5)->code, 0);
  EXPECT_EQ(client.next_ack().packet_id, 1);
}

TEST(ServerLogin, ARefusedOneClosesTheConnection) {
  for (const auto& [error, code] :
       std::vector<std::pair<Errc, int>>{{Errc::unauthorized, 0x86}, {Errc::busy, 0x89}}) {
    SlowBroker broker;
    TestClient client = broker.client();
    broker.access.waiting[0](fail(error, "no"));
    ASSERT_TRUE(client.next());
    EXPECT_EQ(decode_connack(client.frame().body, Version::v5)->code, code);
    EXPECT_FALSE(client.next()) << "closed";
  }
}

TEST(ServerLogin, TheTimeForConnectGoesOnAndALateAnswerIsIgnored) {
  Options options;
  options.limits.connect_timeout = std::chrono::seconds(10);
  SlowBroker broker(options);
  TestClient client = broker.client();
  EXPECT_FALSE(client.next(std::chrono::seconds(20)));
  EXPECT_EQ(broker.server->connections(), 0u);
  broker.access.waiting[0](access::Principal{});
  broker.hub.world.run_for(std::chrono::seconds(1));
  EXPECT_EQ(broker.server->connections(), 0u);
}

TEST(ServerLogin, AnAnswerThatComesWhenTheServerIsGoneIsIgnored) {
  SlowBroker broker;
  TestClient client = broker.client();
  broker.server.reset();
  broker.access.waiting[0](access::Principal{});
  broker.hub.world.run_for(std::chrono::seconds(1));
  EXPECT_FALSE(client.next());
}

}  // namespace
}  // namespace sluice::mqtt
