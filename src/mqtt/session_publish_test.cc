// QoS 2 in both directions, topic aliases, and what else PUBLISH and its answers bring. QoS 1 is in
// session_test.cc.

#include <gtest/gtest.h>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {
namespace {

using Step = Session::Step;
using Packets = SessionRig::Packets;
using enum PacketType;

constexpr std::uint8_t all_qos[] = {0, 1, 2};
constexpr Version both[] = {Version::v3_1_1, Version::v5};
const Error disk_full{Errc::disk_full, "the disk is full"};

// --- QoS 2 from the client

TEST(SessionQos2, PubrecComesWhenTheMessageIsDurableAndPubcompAfterPubrel) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.publish("a", 7, 2);
    EXPECT_EQ(rig.sent(), Packets{}) << "nothing is durable yet";
    rig.durable(0);
    EXPECT_EQ(rig.sent(), Packets{"pubrec 7 00"});
    rig.ack(pubrel, 7);
    EXPECT_EQ(rig.sent(), Packets{"pubcomp 7 00"});
    EXPECT_EQ(rig.host.published.size(), 1u);
  }
}

TEST(SessionQos2, TheRecordCarriesTheEvidence) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.publish("a", 7, 2);
  rig.publish("a", 8, 1);
  rig.publish("a", 9, 2);
  const auto& published = rig.host.published;
  ASSERT_TRUE(published[0].qos2 && published[2].qos2);
  EXPECT_FALSE(published[1].qos2);
  EXPECT_EQ(published[0].qos, 2);
  EXPECT_EQ(published[0].qos2->uid, rig.session.id());
  EXPECT_EQ(published[0].qos2->packet_id, 7);
  EXPECT_LT(published[0].qos2->n, published[2].qos2->n);
}

TEST(SessionQos2, ARepeatedPacketIdIsNotPublishedAgainBeforeItsPubrel) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.publish("a", 7, 2);
    rig.publish("a", 7, 2);
    EXPECT_EQ(rig.sent(), Packets{}) << "the PUBREC of the first will answer both";
    rig.durable(0);
    EXPECT_EQ(rig.sent(), Packets{"pubrec 7 00"});
    rig.publish("another topic", 7, 2);
    EXPECT_EQ(rig.sent(), Packets{"pubrec 7 00"}) << "the id alone decides";
    EXPECT_EQ(rig.host.published.size(), 1u);
    rig.ack(pubrel, 7);
    rig.publish("a", 7, 2);
    EXPECT_EQ(rig.host.published.size(), 2u) << "now the id is a new message's";
    EXPECT_EQ(rig.sent(), Packets{"pubcomp 7 00"});
    rig.durable(1);
    EXPECT_EQ(rig.sent(), Packets{"pubrec 7 00"});
  }
}

TEST(SessionQos2, AnswersKeepTheOrderOfThePublishesWhateverTheirQos) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.publish("a", 1, 2);
  rig.publish("a", 2, 1);
  rig.publish("a", 3, 2);
  rig.durable(1);
  EXPECT_EQ(rig.sent(), (Packets{"pubrec 1 00", "puback 2 00"}));
  rig.durable(2);
  EXPECT_EQ(rig.sent(), Packets{"pubrec 3 00"});
}

TEST(SessionQos2, AFailedPublishGetsANegativePubrecAndFreesItsId) {
  SessionRig rig(Version::v5, {.receive_maximum = 1});
  rig.connected();
  rig.publish("a", 1, 2);
  rig.session.on_publish_failed(rig.host.published[0].sequence, disk_full);
  EXPECT_EQ(rig.sent(), Packets{"pubrec 1 97"});
  rig.publish("a", 1, 2);
  EXPECT_EQ(rig.host.published.size(), 2u) << "a new message ([MQTT-4.3.3-9])";
  rig.durable(1);
  EXPECT_EQ(rig.sent(), Packets{"pubrec 1 00"});

  SessionRig v3(Version::v3_1_1);
  v3.connected();
  v3.publish("a", 1, 2);
  v3.session.on_publish_failed(v3.host.published[0].sequence, disk_full);
  EXPECT_TRUE(v3.session.ended()) << "3.1.1 has no negative PUBREC";
  EXPECT_EQ(v3.sent(), Packets{});
}

TEST(SessionQos2, APublishThatIsNotPermittedIsAnsweredAndNotStored) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.host.forbidden = "secret";
    rig.connected();
    rig.publish("secret", 1, 2);
    EXPECT_EQ(rig.sent(), Packets{version == Version::v5 ? "pubrec 1 87" : "pubrec 1 00"});
    rig.ack(pubrel, 1);
    EXPECT_EQ(rig.sent(), Packets{version == Version::v5 ? "pubcomp 1 92" : "pubcomp 1 00"});
    EXPECT_TRUE(rig.host.published.empty());
  }
}

TEST(SessionQos2, PubrelOfAnUnknownIdIsAnsweredSoThatTheClientIsDoneWithIt) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.ack(pubrel, 5);
    EXPECT_EQ(rig.sent(), Packets{version == Version::v5 ? "pubcomp 5 92" : "pubcomp 5 00"});
    rig.publish("a", 5, 2);
    rig.durable(0);
    rig.ack(pubrel, 5);
    rig.ack(pubrel, 5);
    EXPECT_EQ(rig.sent(), (Packets{"pubrec 5 00", "pubcomp 5 00",
                                   version == Version::v5 ? "pubcomp 5 92" : "pubcomp 5 00"}));
  }
}

TEST(SessionQos2, PubrelBeforePubrecEndsIt) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.publish("a", 5, 2);
    rig.ack(pubrel, 5);
    EXPECT_TRUE(rig.session.ended());
    EXPECT_EQ(rig.sent(), version == Version::v5 ? Packets{"disconnect 82"} : Packets{});
  }
}

TEST(SessionQos2, InV5ItCountsForTheReceiveMaximumUntilPubcomp) {
  SessionRig rig(Version::v5, {.receive_maximum = 2});
  rig.connected();
  rig.publish("a", 1, 2);
  rig.publish("a", 2, 1);
  rig.durable(1);
  EXPECT_EQ(rig.sent(), (Packets{"pubrec 1 00", "puback 2 00"}));
  rig.publish("a", 3, 2);
  rig.publish("a", 1, 2);
  EXPECT_TRUE(rig.session.ready()) << "a repeat is nothing new";
  rig.ack(pubrel, 1);
  rig.publish("a", 4, 1);
  EXPECT_TRUE(rig.session.ready());
  rig.publish("a", 5, 1);
  EXPECT_TRUE(rig.session.ended());
  EXPECT_EQ(rig.host.reason, Reason::receive_maximum_exceeded);
}

// What frees an id comes behind the publishes: who waits for it must go on reading.
TEST(SessionQos2, In311OnlyPublishesOnTheirWayToTheLogAreWaitedFor) {
  SessionRig rig(Version::v3_1_1, {.receive_maximum = 2});
  rig.connected();
  for (std::uint16_t id = 1; id <= 100; ++id) {
    ASSERT_EQ(rig.publish("a", id, 2), Step::taken);
    rig.durable(id - 1u);
  }
  rig.publish("a", 101, 2);
  rig.publish("a", 102, 2);
  EXPECT_EQ(rig.publish("a", 103, 2), Step::later);
  EXPECT_FALSE(rig.session.ready());
  rig.durable(100);
  EXPECT_TRUE(rig.session.ready());
}

// --- QoS 2 to the client

TEST(SessionQos2, ADeliveryIsReleasedAndCompleted) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    ASSERT_TRUE(rig.deliver("a"));
    EXPECT_EQ(rig.sent(), Packets{"publish 1 q2 a"});
    rig.ack(pubrec, 1);
    EXPECT_EQ(rig.sent(), Packets{"pubrel 1 00"});
    rig.ack(pubrec, 1);
    EXPECT_EQ(rig.sent(), Packets{"pubrel 1 00"}) << "a repeated PUBREC is answered again";
    rig.ack(pubcomp, 1);
    rig.ack(pubcomp, 1);
    EXPECT_EQ(rig.sent(), Packets{});
    EXPECT_TRUE(rig.session.ready());
  }
}

TEST(SessionQos2, DeliveriesGoAtTheLowerQosOfPublisherAndGrant) {
  SessionRig rig(Version::v5);
  rig.connected();
  for (const std::uint8_t published : all_qos)
    for (const std::uint8_t granted : all_qos) rig.deliver("a", published, granted);
  EXPECT_EQ(rig.sent(), (Packets{"publish 0 q0 a", "publish 0 q0 a", "publish 0 q0 a",
                                 "publish 0 q0 a", "publish 1 q1 a", "publish 2 q1 a",
                                 "publish 0 q0 a", "publish 3 q1 a", "publish 4 q2 a"}));
}

TEST(SessionQos2, TheWindowIsFullUntilPubcomp) {
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::receive_maximum, 2);
  SessionRig rig(Version::v5);
  rig.connected({.client_id = "c", .properties = {properties}});
  EXPECT_TRUE(rig.deliver("a"));
  EXPECT_TRUE(rig.deliver("b"));
  EXPECT_FALSE(rig.deliver("c"));
  rig.ack(pubrec, 1);
  EXPECT_FALSE(rig.deliver("c")) << "PUBREC does not end it";
  EXPECT_TRUE(rig.deliver("d", 0)) << "QoS 0 needs no place";
  rig.ack(pubcomp, 1);
  EXPECT_TRUE(rig.deliver("c"));
}

TEST(SessionQos2, ANegativePubrecEndsTheDelivery) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.deliver("a");
  rig.sent();
  rig.ack(pubrec, 1, Reason::quota_exceeded);
  EXPECT_EQ(rig.sent(), Packets{}) << "no PUBREL";
  rig.ack(pubrec, 1);
  EXPECT_EQ(rig.sent(), Packets{"pubrel 1 92"}) << "the id is free";
  EXPECT_EQ(rig.counters.dropped_refused.value(), 1u);
}

TEST(SessionQos2, AnswersToUnknownIdsAreIgnoredButPubrecIsReleased) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.ack(puback, 4711);
    rig.ack(pubcomp, 4711);
    EXPECT_EQ(rig.sent(), Packets{});
    rig.ack(pubrec, 4711);
    EXPECT_EQ(rig.sent(), Packets{version == Version::v5 ? "pubrel 4711 92" : "pubrel 4711 00"});
    EXPECT_TRUE(rig.session.ready());
  }
}

TEST(SessionQos2, AnAnswerOfTheWrongKindEndsIt) {
  struct Case {
    std::uint8_t qos;
    PacketType answer;
  };
  for (const auto& [qos, answer] :
       std::vector<Case>{{1, pubrec}, {1, pubcomp}, {2, puback}, {2, pubcomp}}) {
    for (const Version version : both) {
      SessionRig rig(version);
      rig.connected();
      rig.deliver("a", qos, qos);
      rig.sent();
      rig.ack(answer, 1);
      EXPECT_TRUE(rig.session.ended()) << int{qos} << " " << to_string(answer);
      EXPECT_EQ(rig.host.reason, Reason::protocol_error);
    }
  }
}

// --- retain

TEST(Session, RetainIsSetOnWhatWasRetainedAndNotOnWhatIsLive) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.publish("a", 1, 1, true);
    EXPECT_TRUE(rig.host.published.at(0).retain);
    rig.deliver("a", 0, 0, hub::Origin::retained);
    rig.deliver("a", 0, 0, hub::Origin::log);
    EXPECT_EQ(rig.sent(), (Packets{"publish 0 q0 a retain", "publish 0 q0 a"}));
  }
}

// --- topic aliases

// A PUBLISH at QoS 0 with a topic alias.
void publish_with_alias(SessionRig& rig, std::string_view topic, std::uint16_t alias) {
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::topic_alias, alias);
  rig.publish({.topic = topic, .properties = {properties}});
}

TEST(SessionAliases, ATopicOnceToldIsKnownByItsAlias) {
  SessionRig rig(Version::v5, {.topic_alias_max = 2});
  rig.connected();
  publish_with_alias(rig, "a", 1);
  publish_with_alias(rig, "b", 2);
  publish_with_alias(rig, "", 1);
  publish_with_alias(rig, "c", 1);
  publish_with_alias(rig, "", 1);
  publish_with_alias(rig, "", 2);
  std::string topics;
  for (const auto& published : rig.host.published) topics += published.topic;
  EXPECT_EQ(topics, "abaccb");
}

TEST(SessionAliases, OneThatIsNotAllowedOrNotKnownEndsIt) {
  struct Case {
    std::string topic;
    std::uint16_t alias;
    std::string answer;
  };
  const std::vector<Case> table = {{"a", 0, "disconnect 94"},
                                   {"a", 3, "disconnect 94"},
                                   {"", 3, "disconnect 94"},
                                   {"", 2, "disconnect 82"}};
  for (const auto& [topic, alias, answer] : table) {
    SessionRig rig(Version::v5, {.topic_alias_max = 2});
    rig.connected();
    publish_with_alias(rig, topic, alias);
    EXPECT_EQ(rig.sent(), Packets{answer});
    EXPECT_TRUE(rig.host.published.empty());
  }
  SessionRig none(Version::v5, {.topic_alias_max = 0});
  none.connected();
  publish_with_alias(none, "a", 1);
  EXPECT_EQ(none.sent(), Packets{"disconnect 94"});
}

TEST(SessionAliases, APermissionIsAskedForTheTopicBehindTheAlias) {
  SessionRig rig(Version::v5);
  rig.host.forbidden = "secret";
  rig.connected();
  publish_with_alias(rig, "secret", 1);
  publish_with_alias(rig, "", 1);
  EXPECT_TRUE(rig.host.published.empty());
}

SessionRig::Packets deliver_twice(std::uint16_t client_max, std::uint16_t our_max,
                                  std::string_view topic, std::uint32_t packet_max = 0) {
  Buffer properties;
  PropertyWriter writer(properties);
  if (client_max > 0) writer.number(PropertyId::topic_alias_maximum, client_max);
  if (packet_max > 0) writer.number(PropertyId::maximum_packet_size, packet_max);
  SessionRig rig(Version::v5, {.topic_alias_max = our_max});
  rig.connected({.client_id = "c", .properties = {properties}});
  rig.deliver(topic, 0);
  rig.deliver(topic, 0);
  return rig.sent();
}

TEST(SessionAliases, TowardsAClientTheyAreUsedWithinBothMaxima) {
  const Packets with_topics = {"publish 0 q0 sensors/room/1", "publish 0 q0 sensors/room/1"};
  const Packets with_alias = {"publish 0 q0 sensors/room/1", "publish 0 q0 "};
  EXPECT_EQ(deliver_twice(0, 16, "sensors/room/1"), with_topics) << "the client takes none";
  EXPECT_EQ(deliver_twice(16, 0, "sensors/room/1"), with_topics) << "we use none";
  EXPECT_EQ(deliver_twice(1, 16, "sensors/room/1"), with_alias);
  EXPECT_EQ(deliver_twice(65'535, 65'535, "sensors/room/1"), with_alias);
}

TEST(SessionAliases, AMessageThatFitsWithoutAnAliasIsNotLostForIt) {
  const std::string topic = "sensors/room/1";
  const auto exactly = static_cast<std::uint32_t>(2 + 2 + topic.size() + 1 + 1);
  EXPECT_EQ(deliver_twice(1, 1, topic, exactly),
            (Packets{"publish 0 q0 " + topic, "publish 0 q0 " + topic}));
  EXPECT_EQ(deliver_twice(1, 1, topic, exactly + 3),
            (Packets{"publish 0 q0 " + topic, "publish 0 q0 "}));
  EXPECT_EQ(deliver_twice(1, 1, topic, exactly - 1), Packets{});
}

// --- payload format

OutgoingPublish with_format(std::string_view payload, Bytes properties, std::uint8_t qos) {
  return {.topic = "a",
          .payload = as_bytes(payload),
          .packet_id = static_cast<std::uint16_t>(qos > 0 ? 1 : 0),
          .qos = qos,
          .properties = {properties}};
}

TEST(Session, APayloadThatIsNotWhatItsIndicatorSaysIsRefusedWhereThatIsAskedFor) {
  Buffer text;
  PropertyWriter(text).number(PropertyId::payload_format, 1);
  Buffer bytes;
  PropertyWriter(bytes).number(PropertyId::payload_format, 0);
  for (const bool check : {false, true}) {
    SessionRig rig(Version::v5, {.check_payload_format = check});
    rig.connected();
    rig.publish(with_format("\xff", text, 1));
    rig.publish(with_format("\xff", text, 0));
    EXPECT_EQ(rig.host.published.size(), check ? 0u : 2u);
    EXPECT_EQ(rig.sent(), check ? Packets{"puback 1 99"} : Packets{});
    EXPECT_EQ(rig.counters.dropped_payload_format.value(), check ? 2u : 0u);
    rig.host.published.clear();
    rig.publish(with_format("\xff", bytes, 0));
    rig.publish(with_format("\xc3\xa4", text, 0));
    EXPECT_EQ(rig.host.published.size(), 2u);
  }
}

TEST(Session, AWillIsHeldToItsPayloadFormatToo) {
  Buffer text;
  PropertyWriter(text).number(PropertyId::payload_format, 1);
  SessionRig rig(Version::v5, {.check_payload_format = true});
  rig.connect(
      {.client_id = "c",
       .will = Will{
           .topic = "w", .payload = as_bytes(std::string_view("\xff")), .properties = {text}}});
  EXPECT_EQ(rig.sent(), Packets{"connack 99"});
}

}  // namespace
}  // namespace sluice::mqtt
