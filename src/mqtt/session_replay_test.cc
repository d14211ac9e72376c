// Subscriptions to "$stream/...": what is asked of the hub, and what the client is told.
#include <gtest/gtest.h>

#include <string>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {
namespace {

using Packets = SessionRig::Packets;
using Strings = std::vector<std::string>;

constexpr auto both = {Version::v3_1_1, Version::v5};

Buffer starts_at(const Strings& places) {
  Buffer properties;
  PropertyWriter(properties).user("other", "x");
  for (const std::string& place : places) PropertyWriter(properties).user("stream-offset", place);
  return properties;
}

std::string reason_string(const SessionRig& rig) {
  std::string text;
  const auto frame = std::get<Frame>(decode_frame(rig.host.output, 1 << 20).value());
  const auto ack = decode_subscribe_ack(frame.body, Version::v5).value();
  for_each_property(ack.properties, [&](const Property& property) {
    if (property.id == PropertyId::reason_string) text = property.text;
  });
  return text;
}

TEST(SessionReplay, BeginsWhereTheUserPropertySaysAndElseIsTheHubsToChoose) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.connected();
    rig.subscribe({{.filter = "$stream/s/a/#", .qos = 1}, {.filter = "a"}});
    EXPECT_EQ(rig.host.starts, Strings{"nowhere in particular"});
    EXPECT_EQ(rig.host.subscribed.at(0).filter, "$stream/s/a/#");
    rig.answer_subscribes();
    EXPECT_EQ(rig.sent(), Packets{"suback 1 01 00"});
  }
  SessionRig rig(Version::v5);
  rig.connected();
  rig.subscribe({{.filter = "$stream/s"}, {.filter = "$stream/t"}}, 1, {starts_at({"10m"})});
  EXPECT_EQ(rig.host.starts, (Strings{"10m", "10m"}));
}

TEST(SessionReplay, IsPermittedToWhoMaySubscribeToItsTopics) {
  for (const Version version : both) {
    SessionRig rig(version);
    rig.host.forbidden = "s/a";
    rig.connected();
    rig.subscribe({{.filter = "$stream/s/a"}, {.filter = "$stream/s/b"}});
    rig.answer_subscribes();
    EXPECT_EQ(rig.host.filters, Strings{"$stream/s/b"});
    EXPECT_EQ(rig.sent(), Packets{version == Version::v5 ? "suback 1 87 00" : "suback 1 80 00"});
  }
}

TEST(SessionReplay, OfNoValidStreamOrFilterIsRefused) {
  for (const char* filter : {"$stream/", "$stream/+/a", "$stream/s/", "$stream/s/#/a"}) {
    SessionRig rig(Version::v5);
    rig.connected();
    rig.subscribe({{.filter = filter}});
    EXPECT_EQ(rig.sent(), Packets{"suback 1 8f"}) << filter;
    EXPECT_TRUE(rig.host.starts.empty());
  }
}

TEST(SessionReplay, TwoPlacesAreRefusedForReplaysAlone) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.subscribe({{.filter = "$stream/s"}, {.filter = "a"}}, 1, {starts_at({"1", "2"})});
  rig.answer_subscribes();
  EXPECT_EQ(reason_string(rig), "stream-offset is there twice");
  EXPECT_EQ(rig.sent(), Packets{"suback 1 83 00"});
}

TEST(SessionReplay, ThatTheHubRefusesIsToldWhyAndTakesNoPlace) {
  const std::vector<std::pair<Error, std::string>> table = {
      {{Errc::not_found, "there is no stream 'x'"}, "suback 1 8f"},
      {{Errc::out_of_range, "offset 9 of stream 'x' is beyond its end, 5"}, "suback 1 83"},
  };
  SessionRig rig(Version::v5, {.subscriptions_max = 1});
  rig.connected();
  for (const auto& [error, answer] : table) {
    rig.subscribe({{.filter = "$stream/x"}});
    rig.host.asked.clear();
    rig.host.filters.clear();  // as the hub has it
    rig.session.on_subscribed(0, std::unexpected(error));
    EXPECT_EQ(reason_string(rig), error.text);
    EXPECT_EQ(rig.sent(), Packets{answer});
  }
  rig.subscribe({{.filter = "a"}});
  rig.answer_subscribes();
  EXPECT_EQ(rig.sent(), Packets{"suback 1 00"});
}

TEST(SessionReplay, AReasonThatHoldsTheClientsOwnWordsIsCutToAMeasure) {
  SessionRig rig(Version::v5);
  rig.connected();
  rig.subscribe({{.filter = "$stream/x"}});
  rig.session.on_subscribed(0, fail(Errc::out_of_range, "{}", std::string(65'000, 'x')));
  EXPECT_EQ(reason_string(rig), std::string(400, 'x'));
}

}  // namespace
}  // namespace sluice::mqtt
