#include "mqtt/packet_trace.h"

#include <gtest/gtest.h>

#include <variant>

#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/property.h"

namespace sluice::mqtt {
namespace {

// The packet that `bytes` hold, as a trace shows it.
std::string shown(const Buffer& bytes, Version version = Version::v5) {
  const auto cut = decode_frame(bytes, bytes.size()).value();
  JsonObject line;
  describe_packet(std::get<Frame>(cut), version, line);
  return line.str();
}

TEST(PacketTrace, ShowsWhatDecidesButNoPasswordAndNoPayload) {
  Buffer properties;
  PropertyWriter(properties).number(PropertyId::receive_maximum, 20);
  Buffer out;
  encode_connect(out,
                 {.keep_alive_s = 60,
                  .client_id = "dev",
                  .will = Will{.topic = "gone", .payload = as_bytes(std::string_view("secret"))},
                  .user = "ann",
                  .password = as_bytes(std::string_view("secret")),
                  .properties = {properties}});
  EXPECT_EQ(shown(out), R"({"packet":"CONNECT","size":)" + std::to_string(out.size()) +
                            R"(,"version":"5","clean_start":true,"keep_alive_s":60,"user":"ann",)"
                            R"("will_topic":"gone","receive_maximum":20})");
}

TEST(PacketTrace, CodesAreThoseOfTheirVersion) {
  Buffer five, three;
  encode_connack(five, Version::v5, {.code = 0x87});
  encode_connack(three, Version::v3_1_1, {.code = 5});
  EXPECT_EQ(
      shown(five),
      R"({"packet":"CONNACK","size":5,"code":"0x87","reason":"not_authorized","session_present":false})");
  EXPECT_EQ(shown(three, Version::v3_1_1),
            R"({"packet":"CONNACK","size":4,"code":"5","session_present":false})");
}

TEST(PacketTrace, AcknowledgementsNameTheirIdAndWhatIsWrong) {
  Buffer good, bad, suback;
  encode_ack(good, Version::v5, PacketType::puback, {.packet_id = 7});
  encode_ack(bad, Version::v5, PacketType::pubrec, {.packet_id = 8, .code = 0x97});
  const std::array codes{std::byte{1}, std::byte{0x8f}};
  encode_suback(suback, Version::v5, {.packet_id = 9, .properties = {}, .codes = codes});
  EXPECT_EQ(shown(good), R"({"packet":"PUBACK","size":4,"id":7})");
  EXPECT_EQ(shown(bad),
            R"({"packet":"PUBREC","size":5,"id":8,"code":"0x97","reason":"quota_exceeded"})");
  EXPECT_EQ(shown(suback),
            R"({"packet":"SUBACK","size":7,"id":9,"codes":["0x01","0x8f topic_filter_invalid"]})");
}

TEST(PacketTrace, ADisconnectGivesItsReason) {
  Buffer properties, out;
  PropertyWriter(properties).text(PropertyId::reason_string, "go away");
  encode_disconnect(out, Version::v5, {.code = 0x98, .properties = {properties}});
  EXPECT_NE(shown(out).find(R"("code":"0x98","reason":"administrative_action","text":"go away"})"),
            std::string::npos)
      << shown(out);
}

TEST(PacketTrace, AnAuthShowsItsMethodAndNotItsData) {
  Buffer properties, out;
  PropertyWriter writer(properties);
  writer.text(PropertyId::authentication_method, "SCRAM-SHA-256");
  writer.data(PropertyId::authentication_data, as_bytes(std::string_view("secret")));
  encode_auth(out, Version::v5, {.code = 0x18, .properties = {properties}});
  EXPECT_NE(shown(out).find(R"("code":"0x18","reason":"continue_authentication",)"
                            R"("authentication_method":"SCRAM-SHA-256"})"),
            std::string::npos)
      << shown(out);
}

TEST(PacketTrace, WhatCannotBeDecodedIsShownByNameAndSize) {
  const Buffer subscribe{std::byte{0x82}, std::byte{1}, std::byte{0}};
  EXPECT_EQ(shown(subscribe), R"({"packet":"SUBSCRIBE","size":3})");
}

}  // namespace
}  // namespace sluice::mqtt
