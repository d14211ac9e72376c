// What MQTT 5 tells a client beside the codes: reason strings, response information, server
// reference.

#include <gtest/gtest.h>

#include <string>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {
namespace {

// The text of a property in the last packet that was sent; empty if it is not there.
std::string text_of(const SessionRig& rig, PropertyId id) {
  std::string text;
  for (Bytes rest = rig.host.output; !rest.empty();) {
    const auto frame = std::get<Frame>(decode_frame(rest, 1 << 20).value());
    rest = rest.subspan(frame.size);
    PropertyBlock properties;
    if (frame.type == PacketType::connack)
      properties = decode_connack(frame.body, Version::v5).value().properties;
    else if (frame.type == PacketType::suback)
      properties = decode_subscribe_ack(frame.body, Version::v5).value().properties;
    else if (frame.type == PacketType::disconnect)
      properties = decode_disconnect(frame.body, Version::v5).value().properties;
    else
      properties = decode_ack(frame.body, Version::v5).value().properties;
    text.clear();
    for_each_property(properties, [&](const Property& property) {
      if (property.id == id) text = property.text;
    });
  }
  return text;
}
std::string reason_of(const SessionRig& rig) { return text_of(rig, PropertyId::reason_string); }

// CONNECT with one property that is a number.
void connect_with(SessionRig& rig, PropertyId id, std::uint32_t value) {
  Buffer properties;
  PropertyWriter(properties).number(id, value);
  rig.connect({.client_id = "c", .properties = {properties}});
  rig.session.on_claimed({});
}
void connect_plainly(SessionRig& rig) {
  connect_with(rig, PropertyId::request_problem_information, 1);
  rig.sent();
}

struct Refused {
  const char* what;
  void (*act)(SessionRig&);
  const char* word;  // of the reason string
};

const std::vector<Refused>& refusals() {
  static const std::vector<Refused> table = {
      {"PUBACK", [](SessionRig& rig) { rig.publish("$x", 1); }, "reserved"},
      {"PUBACK", [](SessionRig& rig) { rig.publish("secret", 1); }, "permitted"},
      {"PUBREC", [](SessionRig& rig) { rig.publish("secret", 1, 2); }, "permitted"},
      {"PUBACK of a full disk",
       [](SessionRig& rig) {
         rig.host.publish_error = Error{Errc::disk_full, "full"};
         rig.publish("a", 1);
       },
       "disk"},
      {"PUBACK of what turns out not to be stored",
       [](SessionRig& rig) {
         rig.publish("a", 1);
         rig.session.on_publish_failed(rig.host.published.at(0).sequence, {Errc::io, "broken"});
       },
       "log"},
      {"PUBCOMP", [](SessionRig& rig) { rig.ack(PacketType::pubrel, 9); }, "packet id"},
      {"PUBREL", [](SessionRig& rig) { rig.ack(PacketType::pubrec, 9); }, "packet id"},
      {"SUBACK", [](SessionRig& rig) { rig.subscribe({{.filter = "a/#/b"}}); }, "well-formed"},
      {"SUBACK", [](SessionRig& rig) { rig.subscribe({{.filter = "secret"}}); }, "permitted"},
      {"SUBACK of the hub",
       [](SessionRig& rig) {
         rig.subscribe({{.filter = "a"}});
         rig.session.on_subscribed(0, fail(Errc::closed, "closed"));
       },
       "log"},
  };
  return table;
}

TEST(SessionReasons, EachNegativeAnswerSaysWhy) {
  for (const Refused& one : refusals()) {
    SessionRig rig(Version::v5);
    rig.host.forbidden = "secret";
    connect_plainly(rig);
    one.act(rig);
    EXPECT_TRUE(reason_of(rig).contains(one.word)) << one.what << ": " << reason_of(rig);
    EXPECT_FALSE(rig.session.ended()) << one.what;
  }
}

TEST(SessionReasons, NoAnswerHasAReasonStringWhereTheClientWantsNone) {
  for (const Refused& one : refusals()) {
    SessionRig rig(Version::v5);
    rig.host.forbidden = "secret";
    connect_with(rig, PropertyId::request_problem_information, 0);
    rig.sent();
    one.act(rig);
    EXPECT_EQ(reason_of(rig), "") << one.what;
    EXPECT_FALSE(rig.sent().empty()) << one.what;
  }
}

TEST(SessionReasons, DisconnectSaysWhyAllTheSame) {
  SessionRig rig(Version::v5);
  connect_with(rig, PropertyId::request_problem_information, 0);
  rig.sent();
  rig.publish("a", 1, 1);
  rig.connect();
  EXPECT_TRUE(reason_of(rig).contains("CONNECT")) << reason_of(rig);
}

TEST(SessionReasons, AReasonStringIsLeftOutWhereItMadeThePacketTooLarge) {
  for (const Refused& one : refusals()) {
    SessionRig rig(Version::v5);
    rig.host.forbidden = "secret";
    connect_with(rig, PropertyId::maximum_packet_size, 24);
    rig.sent();
    one.act(rig);
    EXPECT_LE(rig.host.output.size(), 24u) << one.what;
    EXPECT_EQ(reason_of(rig), "") << one.what;
  }
}

TEST(SessionReasons, SubackSpeaksOfTheFirstFilterThatIsRefused) {
  SessionRig rig(Version::v5);
  rig.host.forbidden = "secret";
  connect_plainly(rig);
  rig.subscribe({{.filter = "a"}, {.filter = "secret"}, {.filter = "b/#/c"}});
  rig.answer_subscribes();
  EXPECT_TRUE(reason_of(rig).contains("permitted")) << reason_of(rig);
  EXPECT_EQ(rig.sent(), SessionRig::Packets{"suback 1 00 87 8f"});
}

TEST(SessionReasons, ASuccessHasNone) {
  SessionRig rig(Version::v5);
  connect_plainly(rig);
  rig.publish("a", 1);
  rig.durable(0);
  EXPECT_EQ(reason_of(rig), "");
  EXPECT_EQ(rig.sent(), SessionRig::Packets{"puback 1 00"});
}

TEST(SessionReasons, ResponseInformationIsForThoseThatAsk) {
  for (const bool asks : {false, true}) {
    SessionRig rig(Version::v5, {.response_information = "reply/%c/%u"});
    rig.host.login_answer = access::Principal{.name = "ann"};
    connect_with(rig, PropertyId::request_response_information, asks ? 1 : 0);
    EXPECT_EQ(text_of(rig, PropertyId::response_information), asks ? "reply/c/ann" : "");
  }
}

TEST(SessionReasons, ResponseInformationThatIsNoTopicIsNotGiven) {
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::request_response_information, 1);
  for (const auto& [setting, client_id] : {std::pair{"reply/%c", "c/#"}, {"", "c"}}) {
    SessionRig rig(Version::v5, {.response_information = setting});
    rig.connect({.client_id = client_id, .properties = {properties}});
    rig.session.on_claimed({});
    EXPECT_EQ(text_of(rig, PropertyId::response_information), "");
    EXPECT_EQ(rig.sent(), SessionRig::Packets{"connack 00"});
  }
}

TEST(SessionReasons, AServerThatStopsNamesAnotherOneIfItKnowsOne) {
  for (const std::string reference : {"", "other.example.org:1883"}) {
    SessionRig rig(Version::v5, {.server_reference = reference});
    connect_plainly(rig);
    rig.session.on_server_stops();
    EXPECT_EQ(text_of(rig, PropertyId::server_reference), reference);
    EXPECT_EQ(rig.sent(),
              SessionRig::Packets{reference.empty() ? "disconnect 8b" : "disconnect 9c"});
  }
}

}  // namespace
}  // namespace sluice::mqtt
