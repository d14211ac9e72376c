#include "mqtt/session.h"

#include <gtest/gtest.h>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {
namespace {

using Step = Session::Step;
using Packets = SessionRig::Packets;

constexpr Version both[] = {Version::v3_1_1, Version::v5};
const Error disk_full{Errc::disk_full, "the disk is full"};

// --- acknowledgements

TEST(Session, PubacksKeepTheOrderOfThePublishesAndNoneComesBeforeItIsDurable) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.publish("a", 7);
    rig.publish("b", 9);
    rig.publish("c", 8);
    EXPECT_EQ(rig.sent(), Packets{}) << "nothing is durable yet";
    rig.session.on_published(rig.host.published[1].sequence);
    EXPECT_EQ(rig.sent(), (Packets{"puback 7 00", "puback 9 00"}));
    rig.session.on_published(rig.host.published[2].sequence);
    EXPECT_EQ(rig.sent(), Packets{"puback 8 00"});
  }
}

TEST(Session, PublishesAtQos0AreStoredAndNotAcknowledged) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.publish("a", 0, 0);
  ASSERT_EQ(rig.host.published.size(), 1u);
  rig.session.on_published(rig.host.published[0].sequence);
  EXPECT_EQ(rig.sent(), Packets{});
}

TEST(Session, AFailedPublishIsAnsweredInItsPlaceWithAReason) {
  SessionRig rig(Version::v5);
  rig.connected();
  for (std::uint16_t id = 1; id <= 3; ++id) rig.publish("a", id);
  rig.session.on_publish_failed(rig.host.published[1].sequence, disk_full);
  EXPECT_EQ(rig.sent(), Packets{}) << "its place is behind one that is not durable yet";
  rig.session.on_published(rig.host.published[2].sequence);
  EXPECT_EQ(rig.sent(), (Packets{"puback 1 00", "puback 2 97", "puback 3 00"}));
}

TEST(Session, AFailedPublishOf311ClosesAndIsNeverAcknowledged) {
  SessionRig rig(Version::v3_1_1);
  rig.connected();
  rig.publish("a", 1);
  rig.publish("a", 2);
  rig.session.on_publish_failed(rig.host.published[0].sequence, disk_full);
  EXPECT_TRUE(rig.session.ended());
  EXPECT_EQ(rig.host.reason, Reason::quota_exceeded);
  rig.session.on_published(rig.host.published[1].sequence);
  EXPECT_EQ(rig.sent(), Packets{});
}

TEST(Session, APublishThatTheHubRefusesAtOnceIsAnsweredLikewise) {
  const std::vector<std::pair<Errc, std::string>> table = {{Errc::disk_full, "puback 2 97"},
                                                           {Errc::too_large, "puback 2 97"},
                                                           {Errc::invalid, "puback 2 90"},
                                                           {Errc::unauthorized, "puback 2 87"},
                                                           {Errc::io, "puback 2 83"}};
  for (const auto& [error, answer] : table) {
    for (const Version version : both) {
      SessionRig rig(version);
      rig.connected();
      rig.publish("a", 1);
      rig.host.publish_error = Error{error, "refused"};
      EXPECT_EQ(rig.publish("a", 2), Step::taken);
      EXPECT_EQ(rig.sent(), Packets{}) << "1 goes first";
      rig.session.on_published(rig.host.published[0].sequence);
      EXPECT_EQ(rig.sent(), (version == Version::v5 ? Packets{"puback 1 00", answer} : Packets{}));
      EXPECT_EQ(rig.session.ended(), version == Version::v3_1_1);
    }
  }
}

TEST(Session, WithoutRoomAPublishIsShownAgainLater) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.host.publish_error = Error{Errc::busy, "no room"};
  EXPECT_EQ(rig.publish("a", 1), Step::later);
  EXPECT_FALSE(rig.session.ready());
  EXPECT_TRUE(rig.session.waits_for_room());
  rig.host.publish_error.reset();
  rig.session.on_room();
  EXPECT_TRUE(rig.session.ready());
  EXPECT_EQ(rig.publish("a", 1), Step::taken);
  rig.session.on_published(rig.host.published.at(0).sequence);
  EXPECT_EQ(rig.sent(), Packets{"puback 1 00"});
}

TEST(Session, BeyondTheReceiveMaximumV5IsRefusedAnd311IsNotRead) {
  SessionRig v5(Version::v5, {.receive_maximum = 2});
  SessionRig v3(Version::v3_1_1, {.receive_maximum = 2});
  for (SessionRig* rig : {&v5, &v3}) {
    rig->connected();
    rig->publish("a", 1);
    rig->publish("a", 2);
    rig->publish("a", 0, 0);
    EXPECT_TRUE(rig->session.ready()) << "QoS 0 does not count";
  }
  v5.publish("a", 3);
  EXPECT_EQ(v5.sent(), Packets{"disconnect 93"});
  EXPECT_TRUE(v5.session.ended());

  EXPECT_EQ(v3.publish("a", 3), Step::later);
  EXPECT_FALSE(v3.session.ready());
  v3.session.on_published(v3.host.published[0].sequence);
  EXPECT_EQ(v3.sent(), Packets{"puback 1 00"});
  ASSERT_TRUE(v3.session.ready());
  EXPECT_EQ(v3.publish("a", 3), Step::taken);
}

// --- what is not taken

TEST(Session, APublishWithoutAProperTopicEndsIt) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "disconnect 82"}, {"a/+", "disconnect 81"}, {"#", "disconnect 81"}};
  for (const auto& [topic, answer] : table) {
    for (const Version version : both) {
      for (const std::uint8_t qos : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{2}}) {
        SessionRig rig(version);
        rig.connected();
        rig.publish(topic, qos == 0 ? 0 : 1, qos);
        // 3.1.1 has no DISCONNECT of the server.
        EXPECT_EQ(rig.sent(), version == Version::v5 ? Packets{answer} : Packets{}) << topic;
        EXPECT_TRUE(rig.session.ended());
        EXPECT_TRUE(rig.host.published.empty());
      }
    }
  }
}

TEST(Session, ReservedAndForbiddenTopicsAreAnsweredAndNotStored) {
  const std::vector<std::pair<std::string, std::string>> table = {{"$SYS/x", "puback 1 90"},
                                                                  {"secret", "puback 1 87"}};
  for (const auto& [topic, answer] : table) {
    for (const Version version : both) {
      SessionRig rig(version);
      rig.host.forbidden = "secret";
      rig.connected();
      rig.publish(topic, 1);
      EXPECT_EQ(rig.sent(), Packets{version == Version::v5 ? answer : "puback 1 00"});
      EXPECT_TRUE(rig.host.published.empty());
      EXPECT_TRUE(rig.session.ready());
    }
  }
}

TEST(Session, PacketsThatOnlyAServerSendsEndIt) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    Buffer wire;
    encode_pingresp(wire);
    rig.send(wire);
    EXPECT_EQ(rig.sent(), version == Version::v5 ? Packets{"disconnect 82"} : Packets{});
    EXPECT_EQ(rig.host.ends, 1);
  }
}

TEST(Session, ACodeThatIsNotOfItsPacketEndsIt) {
  using enum PacketType;
  for (const PacketType type : {puback, pubrec, pubrel, pubcomp, PacketType::disconnect}) {
    for (const int code : {0x01, 0x42, 0x84, 0xff}) {
      SessionRig rig(Version::v5);
      rig.connected();
      if (type == PacketType::disconnect)
        rig.disconnect(static_cast<Reason>(code));
      else
        rig.ack(type, 1, static_cast<Reason>(code));
      EXPECT_EQ(rig.sent(), Packets{"disconnect 82"}) << to_string(type) << " " << code;
    }
  }
  SessionRig rig(Version::v5);
  rig.connected();
  rig.ack(puback, 1, Reason::quota_exceeded);
  rig.ack(pubcomp, 1, Reason::packet_id_not_found);
  rig.disconnect(Reason::quota_exceeded);
  EXPECT_EQ(rig.sent(), Packets{}) << "codes of their tables";
}

TEST(Session, ALengthInMoreBytesThanItNeedsEndsV5AndIsTakenIn311) {
  const Buffer ping = {std::byte{0xc0}, std::byte{0x80}, std::byte{0}};
  SessionRig v5(Version::v5);
  v5.connected();
  v5.send(ping);
  EXPECT_EQ(v5.sent(), Packets{"disconnect 81"});
  SessionRig v3(Version::v3_1_1);
  v3.connected();
  v3.send(ping);
  EXPECT_EQ(v3.sent(), Packets{"PINGRESP"});
}

TEST(Session, NoAnswerIsLargerThanTheClientTakes) {
  Buffer small;
  PropertyWriter(small).number(PropertyId::maximum_packet_size, 30);
  const Connect connect{.client_id = "c", .properties = {small}};
  const std::vector<Subscription> many(40, {.filter = "a"});
  SessionRig suback(Version::v5);
  suback.connected(connect);
  suback.subscribe(many);
  suback.answer_subscribes();
  EXPECT_EQ(suback.sent(), Packets{"disconnect 95"});
  SessionRig unsuback(Version::v5);
  unsuback.connected(connect);
  Buffer filters;
  for (const Subscription& one : many) append_filter(filters, one.filter);
  Buffer wire;
  encode_unsubscribe(wire, Version::v5, {.packet_id = 1, .properties = {}, .filters = filters});
  unsuback.send(wire);
  EXPECT_EQ(unsuback.sent(), Packets{"disconnect 95"});
}

// --- SUBSCRIBE

TEST(Session, SubackHasACodeForEachFilterAndWaitsForAllOfThem) {
  const std::vector<Subscription> wanted = {{.filter = "a", .qos = 2}, {.filter = "a/#/b"},
                                            {.filter = "$share/g/a"},  {.filter = "$share/a"},
                                            {.filter = "secret"},      {.filter = ""},
                                            {.filter = "b", .qos = 1}, {.filter = "c"}};
  for (const Version version : both) {
    SessionRig rig(version);
    rig.host.forbidden = "secret";
    rig.connected();
    rig.subscribe(wanted, 5);
    EXPECT_EQ(rig.host.filters, (std::vector<std::string>{"a", "$share/g/a", "b", "c"}));
    rig.session.on_subscribed(7, fail(Errc::closed, "stopping"));
    rig.session.on_subscribed(0, {});
    rig.session.on_subscribed(2, {});
    EXPECT_FALSE(rig.session.ready());
    EXPECT_EQ(rig.sent(), Packets{});
    rig.session.on_subscribed(6, {});
    EXPECT_TRUE(rig.session.ready());
    EXPECT_EQ(rig.sent(), Packets{version == Version::v5 ? "suback 5 02 8f 00 8f 87 8f 01 83"
                                                         : "suback 5 02 80 00 80 80 80 01 80"});
  }
}

TEST(Session, TheFiltersOfAConnectionAndTheirLevelsAreBounded) {
  for (const Version version : both) {
    const bool is_v5 = version == Version::v5;
    SessionRig rig(version, {.subscriptions_max = 2, .filter_levels_max = 3});
    rig.connected();
    const auto answer_to = [&](std::string_view filter) {
      rig.subscribe({{.filter = filter}});
      rig.answer_subscribes();
      return rig.sent();
    };
    EXPECT_EQ(answer_to("1/2/3/4"), Packets{is_v5 ? "suback 1 8f" : "suback 1 80"});
    EXPECT_EQ(answer_to("1/2/3"), Packets{"suback 1 00"});
    EXPECT_EQ(answer_to("b"), Packets{"suback 1 00"});
    EXPECT_EQ(answer_to("c"), Packets{is_v5 ? "suback 1 97" : "suback 1 80"});
    EXPECT_EQ(answer_to("b"), Packets{"suback 1 00"}) << "replaced";
    rig.unsubscribe("b");
    rig.unsubscribe("b");
    rig.sent();
    EXPECT_EQ(answer_to("c"), Packets{"suback 1 00"});
    EXPECT_EQ(answer_to("d"), Packets{is_v5 ? "suback 1 97" : "suback 1 80"});
    EXPECT_EQ(rig.host.filters, (std::vector<std::string>{"1/2/3", "c"}));
  }
}

TEST(Session, RetainHandlingDecidesWhetherRetainedMessagesAreAskedFor) {
  const auto asks = [](SessionRig& rig, std::uint8_t retain_handling) {
    rig.subscribe({{.filter = "a", .retain_handling = retain_handling}});
    rig.answer_subscribes();
    return rig.host.subscribed.back().options.send_retained;
  };
  SessionRig v5(Version::v5);
  v5.connected();
  EXPECT_FALSE(asks(v5, 2));
  EXPECT_FALSE(asks(v5, 1)) << "the filter is there";
  EXPECT_TRUE(asks(v5, 0));
  v5.unsubscribe("a");
  EXPECT_TRUE(asks(v5, 1)) << "the filter is new";
  EXPECT_FALSE(asks(v5, 1));

  SessionRig twice(Version::v5);
  twice.connected();
  twice.subscribe({{.filter = "a", .retain_handling = 1}, {.filter = "a", .retain_handling = 1}});
  EXPECT_TRUE(twice.host.subscribed[0].options.send_retained);
  EXPECT_FALSE(twice.host.subscribed[1].options.send_retained);

  SessionRig v3(Version::v3_1_1);
  v3.connected();
  EXPECT_TRUE(asks(v3, 0));
  EXPECT_TRUE(asks(v3, 0)) << "each SUBSCRIBE of 3.1.1 asks";
}

TEST(Session, UnsubackSaysInV5WhatThereWas) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.subscribe({{.filter = "a"}});
    rig.answer_subscribes();
    rig.sent();
    rig.unsubscribe("a", 2);
    rig.unsubscribe("a", 3);
    EXPECT_EQ(rig.sent(), version == Version::v5 ? (Packets{"unsuback 2 00", "unsuback 3 11"})
                                                 : (Packets{"unsuback 2", "unsuback 3"}));
  }
}

// --- the end

TEST(Session, AnEndedSessionStaysSilent) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.publish("a", 1);
    rig.subscribe({{.filter = "a"}});
    rig.session.on_lost("reset");
    rig.session.on_published(rig.host.published[0].sequence);
    rig.session.on_publish_failed(rig.host.published[0].sequence, disk_full);
    rig.answer_subscribes();
    rig.session.on_room();
    rig.session.on_ended_by_server(Reason::server_shutting_down, "stopping");
    EXPECT_FALSE(rig.session.ready());
    EXPECT_EQ(rig.sent(), Packets{});
    EXPECT_EQ(rig.host.ends, 1);
  }
}

}  // namespace
}  // namespace sluice::mqtt
