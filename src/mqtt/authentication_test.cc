// Enhanced authentication, against users who have passwords.

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "access/scram_client_test.h"
#include "hub/sim_hub_test.h"
#include "mqtt/broker_test.h"
#include "mqtt/server.h"
#include "mqtt/test_client_test.h"

namespace sluice::mqtt {
namespace {

using access::Digest;

constexpr std::string_view sha256 = "SCRAM-SHA-256";

class MqttAuthentication : public testing::Test {
 protected:
  MqttAuthentication() {
    access::UserTable table;
    table.put(access::test_user("ann", "secret", {"allow all"}));
    table.put(access::test_user("bob", "other", {"allow subscribe b/#"}));
    users.replace(std::make_shared<const access::UserTable>(std::move(table)));
    server = std::make_unique<Server>(hub.world.loop(0), *hub.hubs[0], *delayed, users,
                                      hub.metrics[0], Options{.seed = 1});
    endpoint = server->listen({"127.0.0.1", 0}).value();
  }
  ~MqttAuthentication() override { server.reset(); }

  struct Answer {
    PacketType type{};
    int code = -1;  // -1: the connection was closed
    std::string method{};
    std::string data{};
  };
  static Answer next(TestClient& client) {
    if (!client.next()) return {};
    const Frame& frame = client.frame();
    Answer answer{.type = frame.type};
    PropertyBlock properties;
    if (frame.type == PacketType::connack) {
      const auto connack = decode_connack(frame.body, Version::v5).value();
      answer.code = connack.code;
      properties = connack.properties;
    } else {
      const auto packet = frame.type == PacketType::auth
                              ? decode_auth(frame.body, Version::v5).value()
                              : decode_disconnect(frame.body, Version::v5).value();
      answer.code = packet.code;
      properties = packet.properties;
    }
    for_each_property(properties, [&](const Property& property) {
      if (property.id == PropertyId::authentication_method) answer.method = property.text;
      if (property.id == PropertyId::authentication_data) answer.data = as_text(property.data);
    });
    return answer;
  }

  static Buffer fields(std::string_view method, std::optional<std::string_view> data) {
    Buffer properties;
    PropertyWriter writer(properties);
    if (!method.empty()) writer.text(PropertyId::authentication_method, method);
    if (data) writer.data(PropertyId::authentication_data, as_bytes(*data));
    return properties;
  }
  static void send_connect(TestClient& client, std::string_view method,
                           std::optional<std::string_view> data) {
    const Buffer properties = fields(method, data);
    Buffer out;
    encode_connect(out, {.client_id = "c", .properties = {properties}});
    client.send(out);
  }
  static void send_auth(TestClient& client, Reason reason, std::string_view method,
                        std::optional<std::string_view> data) {
    const Buffer properties = fields(method, data);
    Buffer out;
    encode_auth(out, Version::v5,
                {.code = static_cast<std::uint8_t>(reason), .properties = {properties}});
    client.send(out);
  }
  // A whole exchange; the first message goes in CONNECT, or in AUTH `begin`.
  static Answer log_in(TestClient& client, Digest digest, std::string_view user,
                       std::string_view password, std::optional<Reason> begin = {}) {
    const std::string_view method = access::mechanism_name(digest);
    Answer last;
    bool first = true;
    access::scram_login(digest, user, password, [&](const std::string& token) {
      if (!std::exchange(first, false))
        send_auth(client, Reason::continue_authentication, method, token);
      else if (begin)
        send_auth(client, *begin, method, token);
      else
        send_connect(client, method, token);
      last = next(client);
      return last.data;
    });
    return last;
  }
  TestClient client() { return {hub.world, endpoint}; }
  TestClient connected() {
    TestClient made = client();
    SLUICE_ASSERT(log_in(made, Digest::sha256, "ann", "secret").code == 0);
    return made;
  }

  hub::SimHub hub{1};
  access::Users users{hub.world.loop(0), hub.metrics[0], nullptr, {}};
  std::unique_ptr<delayed::Delayed> delayed = delayed_of(hub);
  std::unique_ptr<Server> server;
  runtime::Endpoint endpoint;
};

TEST_F(MqttAuthentication, ScramInConnectLetsTheRightPasswordInAndProvesTheServer) {
  for (const Digest digest : {Digest::sha256, Digest::sha512}) {
    TestClient one = client();
    const Answer answer = log_in(one, digest, "ann", "secret");
    EXPECT_EQ(answer.type, PacketType::connack);
    EXPECT_EQ(answer.code, 0);
    EXPECT_EQ(answer.method, access::mechanism_name(digest));
    EXPECT_TRUE(answer.data.starts_with("v=")) << answer.data;
  }
}

TEST_F(MqttAuthentication, TheRulesOfTheUserHold) {
  TestClient one = client();
  ASSERT_EQ(log_in(one, Digest::sha256, "bob", "other").code, 0);
  EXPECT_EQ(one.subscribe({{.filter = "b/x"}, {.filter = "a"}}), (std::vector<int>{0, 0x87}));
}

TEST_F(MqttAuthentication, AWrongPasswordAndAnUnknownUserAreRefusedAlike) {
  for (const auto& [user, password] : {std::pair{"ann", "wrong"}, {"nobody", "secret"}}) {
    TestClient one = client();
    const Answer answer = log_in(one, Digest::sha256, user, password);
    EXPECT_EQ(answer.type, PacketType::connack);
    EXPECT_EQ(answer.code, 0x87);
    EXPECT_FALSE(one.next()) << "closed";
  }
}

TEST_F(MqttAuthentication, AMethodThatIsNotOfferedIsRefusedAndNamed) {
  TestClient one = client();
  send_connect(one, "KERBEROS", "x");
  EXPECT_EQ(next(one).code, 0x8c);
  EXPECT_FALSE(one.next());
}

TEST_F(MqttAuthentication, WithoutUsersThereIsNobodyToAuthenticate) {
  users.replace(nullptr);
  TestClient one = client();
  EXPECT_EQ(log_in(one, Digest::sha256, "ann", "secret").code, 0x8c);
}

TEST_F(MqttAuthentication, AConnectWithoutDataIsAnsweredByTheClientsTurn) {
  TestClient one = client();
  send_connect(one, sha256, std::nullopt);
  const Answer answer = next(one);
  EXPECT_EQ(answer.type, PacketType::auth);
  EXPECT_EQ(answer.code, 0x18);
  EXPECT_EQ(answer.method, sha256);
  EXPECT_EQ(log_in(one, Digest::sha256, "ann", "secret", Reason::continue_authentication).code, 0);
}

TEST_F(MqttAuthentication, PlainIsAMethodToo) {
  using namespace std::string_view_literals;
  TestClient one = client();
  send_connect(one, "PLAIN", "\0ann\0secret"sv);
  EXPECT_EQ(next(one).code, 0);
}

TEST_F(MqttAuthentication, NothingButAuthComesBeforeConnack) {
  TestClient one = client();
  send_connect(one, sha256, "n,,n=ann,r=client");
  ASSERT_EQ(next(one).code, 0x18);
  one.publish("a", "x");
  const Answer answer = next(one);
  EXPECT_EQ(answer.type, PacketType::connack);
  EXPECT_EQ(answer.code, 0x82);
  EXPECT_FALSE(one.next());
}

TEST_F(MqttAuthentication, TheTimeForConnectHoldsForTheExchange) {
  TestClient one = client();
  send_connect(one, sha256, "n,,n=ann,r=client");
  ASSERT_EQ(next(one).code, 0x18);
  EXPECT_FALSE(one.next(std::chrono::seconds(30)));
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(MqttAuthentication, AConnectedClientAuthenticatesAgainAndPublishesMeanwhile) {
  TestClient one = connected();
  bool first = true;
  Answer last;
  access::scram_login(Digest::sha256, "ann", "secret", [&](const std::string& token) {
    if (!first) {
      one.publish("a", "x", 1, 7);
      EXPECT_EQ(one.next_ack().packet_id, 7);
    }
    const Reason reason =
        std::exchange(first, false) ? Reason::reauthenticate : Reason::continue_authentication;
    send_auth(one, reason, sha256, token);
    last = next(one);
    return last.data;
  });
  EXPECT_EQ(last.type, PacketType::auth);
  EXPECT_EQ(last.code, 0);
  EXPECT_TRUE(last.data.starts_with("v="));
}

TEST_F(MqttAuthentication, AuthenticatingAgainAsSomebodyElseOrWronglyEndsTheConnection) {
  for (const auto& [user, password] : {std::pair{"bob", "other"}, {"ann", "wrong"}}) {
    TestClient one = connected();
    const Answer answer = log_in(one, Digest::sha256, user, password, Reason::reauthenticate);
    EXPECT_EQ(answer.type, PacketType::disconnect);
    EXPECT_EQ(answer.code, 0x87);
    EXPECT_FALSE(one.next());
  }
}

TEST_F(MqttAuthentication, AnAuthThatDoesNotFitIsAProtocolError) {
  struct Case {
    Reason reason;
    std::string_view method;
  };
  for (const Case& one :
       {Case{Reason::continue_authentication, sha256},
        Case{Reason::reauthenticate, "SCRAM-SHA-512"}, Case{Reason::reauthenticate, ""},
        Case{Reason::success, sha256}, Case{Reason::unspecified, sha256}}) {
    TestClient made = connected();
    send_auth(made, one.reason, one.method, "x");
    EXPECT_EQ(next(made).code, 0x82) << to_string(one.reason) << one.method;
  }
}

TEST_F(MqttAuthentication, AuthWithoutAMethodInConnectIsAProtocolError) {
  TestClient one = client();
  ASSERT_EQ(one.connect("c", {.user = "ann", .password = as_bytes("secret")}), 0);
  send_auth(one, Reason::reauthenticate, sha256, "x");
  EXPECT_EQ(next(one).code, 0x82);
}

}  // namespace
}  // namespace sluice::mqtt
