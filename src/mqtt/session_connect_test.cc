// How a session begins: CONNECT, the login, the claim of the client id; and the will, which is told
// there and left at the end.

#include <gtest/gtest.h>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {
namespace {

using Packets = SessionRig::Packets;

constexpr Version both[] = {Version::v3_1_1, Version::v5};

// --- CONNECT

TEST(Session, TheFirstPacketMustBeConnect) {
  SessionRig rig(Version::v5);
  Buffer wire;
  encode_pingreq(wire);
  rig.send(wire);
  EXPECT_TRUE(rig.session.ended());
  EXPECT_EQ(rig.sent(), Packets{});
}

TEST(Session, ASecondConnectEndsIt) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.connect();
    EXPECT_TRUE(rig.session.ended());
    EXPECT_EQ(rig.sent(), version == Version::v5 ? Packets{"disconnect 82"} : Packets{});
  }
}

TEST(Session, AnUnknownProtocolLevelIsRefusedInTheWordsOfMqtt311) {
  for (const char level : {'\x02', '\x06', '\x85'}) {
    SessionRig rig(Version::v3_1_1);
    Buffer connect;
    encode_connect(connect, {.version = Version::v3_1_1, .client_id = "c"});
    connect[8] = static_cast<std::byte>(level);
    rig.send(connect);
    EXPECT_EQ(rig.sent(), Packets{"connack 01"});
    EXPECT_TRUE(rig.session.ended());
  }
}

TEST(Session, AClientOfMqtt31IsTakenButNotWithoutAClientId) {
  for (const std::string_view client_id : {"c", ""}) {
    SessionRig rig(Version::v3_1);
    rig.connect({.client_id = client_id});
    EXPECT_EQ(rig.host.claimed.has_value(), !client_id.empty());
    EXPECT_EQ(rig.sent(), client_id.empty() ? Packets{"connack 02"} : Packets{});
  }
}

TEST(Session, WhatABridgeTellsOfItsStateIsAcceptedAndNotKept) {
  const std::string_view topic = "$SYS/broker/connection/edge/state";
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected({.client_id = "c", .will = Will{.topic = topic, .payload = as_bytes("0")}});
    rig.publish(topic, 1);
    EXPECT_EQ(rig.sent(), Packets{"puback 1 00"});
    rig.session.on_lost("gone");
    EXPECT_FALSE(rig.session.take_will());
    EXPECT_TRUE(rig.host.published.empty());
    EXPECT_EQ(rig.counters.dropped_topic.value(), 1u);
  }
}

TEST(Session, ABridgeGetsNothingBackAndRetainFlagsAsTheyWerePublished) {
  for (const bool bridge : {false, true}) {
    SessionRig rig(Version::v3_1_1);
    rig.connect({.bridge = bridge, .client_id = "c"});
    rig.session.on_claimed({});
    rig.subscribe({{.filter = "a", .qos = 1}});
    ASSERT_EQ(rig.host.subscribed.size(), 1u);
    EXPECT_EQ(rig.host.subscribed[0].options.no_local, bridge);
    EXPECT_EQ(rig.host.subscribed[0].options.retain_as_published, bridge);
  }
}

TEST(Session, AnEmptyClientIdIsReplacedButFor311WithoutCleanSession) {
  for (const Version version : both) {
    for (const bool clean : {true, false}) {
      SessionRig rig(version);
      rig.connect({.clean_start = clean, .client_id = ""});
      if (version == Version::v3_1_1 && !clean) {
        EXPECT_EQ(rig.sent(), Packets{"connack 02"});
        EXPECT_TRUE(rig.session.ended());
        EXPECT_FALSE(rig.host.claimed);
      } else {
        ASSERT_TRUE(rig.host.claimed);
        EXPECT_TRUE(rig.host.claimed->starts_with("sluice-"));
      }
    }
  }
}

TEST(Session, AV5ClientIsToldTheIdThatItWasAssigned) {
  SessionRig rig(Version::v5);
  rig.connect({.client_id = ""});
  rig.session.on_claimed({});
  const auto frame = std::get<Frame>(decode_frame(rig.host.output, 1 << 20).value());
  std::string assigned;
  for_each_property(decode_connack(frame.body, Version::v5).value().properties,
                    [&](const Property& property) {
                      if (property.id == PropertyId::assigned_client_id) assigned = property.text;
                    });
  EXPECT_EQ(assigned, rig.host.claimed);
}

TEST(Session, ARefusedConnectSaysWhy) {
  struct Case {
    std::string v3;
    std::string v5;
    Connect connect;
  };
  const std::string long_id(2000, 'c');
  const std::vector<Case> table = {
      {"connack 02", "connack 85", {.client_id = long_id}},
      {"", "connack 90", {.client_id = "c", .will = Will{.topic = "w/#"}}},
      {"", "connack 90", {.client_id = "c", .will = Will{.topic = "$w"}}},
      {"connack 05", "connack 87", {.client_id = "c", .will = Will{.topic = "secret"}}},
  };
  for (const Case& one : table) {
    for (const Version version : both) {
      const std::string& answer = version == Version::v5 ? one.v5 : one.v3;
      SessionRig rig(version);
      rig.host.forbidden = "secret";
      rig.connect(one.connect);
      EXPECT_EQ(rig.sent(), answer.empty() ? Packets{} : Packets{answer});
      EXPECT_TRUE(rig.session.ended());
      EXPECT_FALSE(rig.host.claimed);
      EXPECT_FALSE(rig.session.connected());
    }
  }
}

TEST(Session, AClientThatTakesNoPacketOfItsSizeGetsNoConnack) {
  for (const std::uint32_t size_max : {1u, 4u, 5u}) {
    Buffer properties;
    PropertyWriter(properties).number(PropertyId::maximum_packet_size, size_max);
    SessionRig rig(Version::v5);
    rig.connect({.client_id = "c", .will = Will{.topic = "w"}, .properties = {properties}});
    rig.session.on_claimed({});
    EXPECT_EQ(rig.sent(), Packets{});
    EXPECT_EQ(rig.host.reason, Reason::packet_too_large);
    EXPECT_FALSE(rig.session.take_will()) << "it was never connected";

    SessionRig refused(Version::v5);
    refused.connect({.client_id = std::string(2000, 'c'), .properties = {properties}});
    EXPECT_EQ(refused.sent(), size_max < 5 ? Packets{} : Packets{"connack 85"});
  }
}

TEST(Session, ARefusedLoginIsToldApartByWhetherThereWasAUser) {
  for (const Version version : both) {
    for (const bool with_user : {true, false}) {
      SessionRig rig(version);
      rig.host.login_answer = fail(Errc::unauthorized, "no such user");
      rig.connect({.client_id = "c",
                   .user = with_user ? std::optional<std::string_view>("u") : std::nullopt});
      if (version == Version::v5)
        EXPECT_EQ(rig.sent(), Packets{with_user ? "connack 86" : "connack 87"});
      else
        EXPECT_EQ(rig.sent(), Packets{with_user ? "connack 04" : "connack 05"});
    }
  }
}

TEST(Session, WhileALoginIsUnderWayNothingIsTakenAndTheClientIdIsNotClaimed) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.host.login_answer.reset();
    rig.connect({.client_id = "c", .user = "u"});
    EXPECT_EQ(rig.host.logging_in, "u");
    EXPECT_FALSE(rig.session.ready());
    EXPECT_FALSE(rig.host.claimed);
    EXPECT_EQ(rig.sent(), Packets{});
    rig.session.on_logged_in(access::Principal{});
    EXPECT_EQ(rig.host.claimed, "c");
    EXPECT_FALSE(rig.session.ready());
    rig.session.on_claimed({});
    EXPECT_EQ(rig.sent(), Packets{"connack 00"});
  }
}

TEST(Session, ABusyLoginIsToldApartFromARefusedOne) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.host.login_answer = fail(Errc::busy, "too many");
    rig.connect({.client_id = "c", .user = "u"});
    EXPECT_EQ(rig.sent(), Packets{version == Version::v5 ? "connack 89" : "connack 03"});
    EXPECT_TRUE(rig.session.ended());
  }
}

TEST(Session, ALoginThatIsAnsweredWhenTheConnectionIsGoneChangesNothing) {
  SessionRig rig(Version::v5);
  rig.host.login_answer.reset();
  rig.connect();
  rig.session.on_lost("reset");
  rig.session.on_logged_in(access::Principal{});
  EXPECT_FALSE(rig.host.claimed);
  EXPECT_EQ(rig.sent(), Packets{});
}

TEST(Session, CleanStartDecidesHowTheClientIdIsClaimed) {
  for (const Version version : both) {
    for (const bool clean : {true, false}) {
      SessionRig rig(version);
      rig.connect({.clean_start = clean, .client_id = "c"});
      EXPECT_EQ(rig.host.claimed_how, clean ? hub::Claim::clean : hub::Claim::resume);
    }
  }
}

TEST(Session, ConnackWaitsUntilTheClientIdIsClaimed) {
  SessionRig rig(Version::v5);
  rig.connect();
  EXPECT_FALSE(rig.session.ready());
  EXPECT_EQ(rig.sent(), Packets{});
  rig.session.on_claimed({});
  EXPECT_TRUE(rig.session.ready());
  EXPECT_EQ(rig.sent(), Packets{"connack 00"});

  SessionRig failing(Version::v5);
  failing.connect();
  failing.session.on_claimed(fail(Errc::closed, "stopping"));
  EXPECT_EQ(failing.sent(), Packets{"connack 88"});
  EXPECT_TRUE(failing.session.ended());
}

// --- the will

TEST(Session, TheWillIsLeftUnlessTheClientSaidGoodbye) {
  const Connect with_will{
      .client_id = "c",
      .will = Will{.topic = "gone", .payload = as_bytes("bye"), .qos = 2, .retain = true}};
  const auto leaves_will = [&](Version version, auto end_it) {
    SessionRig rig(version);
    rig.connected(with_will);
    end_it(rig);
    EXPECT_TRUE(rig.session.ended());
    EXPECT_TRUE(rig.host.published.empty());
    const auto will = rig.session.take_will();
    EXPECT_FALSE(rig.session.take_will()) << "once";
    if (!will) return false;
    EXPECT_EQ(will->topic, "gone");
    EXPECT_EQ(as_text(will->payload), "bye");
    EXPECT_EQ(will->qos, 2);
    EXPECT_TRUE(will->retain);
    EXPECT_EQ(will->wait_s(), 0u);
    return true;
  };
  for (const Version version : both) {
    EXPECT_FALSE(leaves_will(version, [](SessionRig& rig) { rig.disconnect(); }));
    EXPECT_TRUE(leaves_will(version, [](SessionRig& rig) { rig.session.on_lost("reset"); }));
    EXPECT_TRUE(leaves_will(version, [](SessionRig& rig) { rig.publish("a/+", 1); }));
    for (const hub::Claim newer : {hub::Claim::resume, hub::Claim::clean})
      EXPECT_TRUE(leaves_will(version, [&](SessionRig& rig) { rig.session.on_taken_over(newer); }));
  }
  EXPECT_TRUE(leaves_will(Version::v5,
                          [](SessionRig& rig) { rig.disconnect(Reason::disconnect_with_will); }));
}

TEST(Session, TheWillOfARefusedConnectIsForgotten) {
  SessionRig rig(Version::v5);
  rig.host.login_answer = fail(Errc::unauthorized, "no such user");
  rig.connect({.client_id = "c", .will = Will{.topic = "gone"}});
  EXPECT_TRUE(rig.session.ended());
  EXPECT_FALSE(rig.session.take_will());
}

// A CONNECT of MQTT 5 with a will; times in seconds, none if 0.
struct DelayedWill {
  DelayedWill(std::uint32_t delay_s, std::uint32_t session_expiry_s) {
    if (delay_s > 0) PropertyWriter(will_).number(PropertyId::will_delay, delay_s);
    if (session_expiry_s > 0)
      PropertyWriter(connect_).number(PropertyId::session_expiry, session_expiry_s);
  }
  [[nodiscard]] Connect connect() const {
    return {.client_id = "c",
            .will = Will{.topic = "gone", .properties = {will_}},
            .properties = {connect_}};
  }

 private:
  Buffer will_;
  Buffer connect_;
};

TEST(Session, AWillWaitsForItsDelayButNotLongerThanTheSession) {
  struct Case {
    std::uint32_t delay_s, expiry_s, waits_s;
  };
  for (const auto& [delay_s, expiry_s, waits_s] : std::vector<Case>{
           {0, 0, 0}, {10, 0, 0}, {10, 5, 5}, {10, 20, 10}, {0, 20, 0}, {500, 0xffff'ffff, 100}}) {
    SessionRig rig(Version::v5, {.will_delay_max_s = 100});
    rig.connected(DelayedWill(delay_s, expiry_s).connect());
    rig.session.on_lost("reset");
    EXPECT_EQ(rig.session.take_will()->wait_s(), waits_s);
  }
}

TEST(Session, DisconnectMayShortenTheSessionAndWithItTheDelayOfTheWill) {
  for (const std::uint32_t expiry_s : {0u, 3u, 50u}) {
    SessionRig rig(Version::v5);
    rig.connected(DelayedWill(10, 20).connect());
    Buffer properties, wire;
    PropertyWriter(properties).number(PropertyId::session_expiry, expiry_s);
    encode_disconnect(wire, Version::v5, {.code = 0x04, .properties = {properties}});
    rig.send(wire);
    EXPECT_EQ(rig.session.take_will()->wait_s(), std::min(expiry_s, 10u));
  }
}

TEST(Session, ADelayedWillIsForgottenWhenTheSessionGoesOnAndDueWhenItIsBegunAnew) {
  SessionRig resumed(Version::v5);
  resumed.connected(DelayedWill(10, 20).connect());
  resumed.session.on_taken_over(hub::Claim::resume);
  EXPECT_FALSE(resumed.session.take_will());

  SessionRig anew(Version::v5);
  anew.connected(DelayedWill(10, 20).connect());
  anew.session.on_taken_over(hub::Claim::clean);
  EXPECT_EQ(anew.session.take_will()->wait_s(), 0u);

  SessionRig removed(Version::v5);
  removed.connected(DelayedWill(10, 20).connect());
  removed.session.on_taken_over(hub::Claim::remove);
  EXPECT_EQ(removed.session.take_will()->wait_s(), 0u);

  SessionRig lost_before(Version::v5);
  lost_before.connected(DelayedWill(10, 20).connect());
  lost_before.session.on_lost("reset");
  lost_before.session.on_taken_over(hub::Claim::resume);
  EXPECT_FALSE(lost_before.session.take_will()) << "also if the loss was noticed just before";
}

}  // namespace
}  // namespace sluice::mqtt
