#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/property.h"

namespace sluice::mqtt {
namespace {

Buffer bytes(std::initializer_list<int> values) {
  Buffer out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

Frame whole(Bytes wire) {
  const auto cut = decode_frame(wire, 1 << 28);
  EXPECT_TRUE(cut.has_value());
  const auto* frame = std::get_if<Frame>(&*cut);
  EXPECT_NE(frame, nullptr);
  EXPECT_EQ(frame->size, wire.size());
  return *frame;
}

std::optional<Reason> refused(Bytes wire) {
  const auto cut = decode_frame(wire, 1 << 20);
  return cut ? std::nullopt : std::optional(cut.error().reason);
}

TEST(Frame, AsksForMoreUntilItIsWhole) {
  Buffer wire;
  const std::string payload(200, 'x');
  const OutgoingPublish publish{.topic = "a/b", .payload = as_bytes(payload), .properties = {}};
  encode_publish(wire, Version::v5, publish, measure_publish(Version::v5, publish));
  for (std::size_t n = 0; n < wire.size(); ++n) {
    const auto cut = decode_frame(Bytes(wire).first(n), 1 << 20);
    ASSERT_TRUE(cut && std::holds_alternative<NeedMore>(*cut)) << n;
    EXPECT_EQ(std::get<NeedMore>(*cut).total, n < 3 ? 0 : wire.size()) << n;
  }
  EXPECT_EQ(whole(wire).body.size(), wire.size() - 3);
}

TEST(Frame, RefusesWhatTheFixedHeaderAlreadyShowsToBeWrong) {
  EXPECT_EQ(refused(bytes({0x00, 0x00})), Reason::malformed) << "type 0";
  EXPECT_EQ(refused(bytes({0xc1, 0x00})), Reason::malformed) << "PINGREQ with flags";
  EXPECT_EQ(refused(bytes({0x80, 0x00})), Reason::malformed) << "SUBSCRIBE without its flag";
  EXPECT_EQ(refused(bytes({0x30, 0xff, 0xff, 0xff, 0xff})), Reason::malformed)
      << "five bytes of length";
  EXPECT_EQ(refused(bytes({0x30, 0xff, 0xff, 0x7f})), Reason::packet_too_large);
  EXPECT_EQ(refused(bytes({0x30, 0x80, 0x80, 0x3f})), std::nullopt);
}

TEST(Frame, HasDupInMorePacketsOfMqtt31) {
  for (const int type : {0x60, 0x80, 0xa0}) {
    const Buffer wire = bytes({type | 0x0a, 0x00});
    EXPECT_EQ(refused(wire), Reason::malformed) << type;
    EXPECT_TRUE(decode_frame(wire, 1 << 20, Version::v3_1)) << type;
    EXPECT_FALSE(decode_frame(bytes({type | 0x08, 0x00}), 1 << 20, Version::v3_1)) << type;
  }
}

TEST(Connect, ComesBackAsItWasWritten) {
  for (const Version version : {Version::v3_1, Version::v3_1_1, Version::v5}) {
    Buffer properties;
    PropertyWriter writer(properties);
    writer.number(PropertyId::session_expiry, 60);
    writer.number(PropertyId::receive_maximum, 20);
    writer.user("k", "v");
    const Connect connect{.version = version,
                          .clean_start = false,
                          .keep_alive_s = 30,
                          .client_id = "device-1",
                          .will = Will{.topic = "gone",
                                       .payload = as_bytes("bye"),
                                       .qos = 1,
                                       .retain = true,
                                       .properties = {}},
                          .user = "u",
                          .password = as_bytes("p"),
                          .properties = {properties}};
    Buffer wire;
    encode_connect(wire, connect);
    const auto back = decode_connect(whole(wire).body);
    ASSERT_TRUE(back) << back.error().text;
    EXPECT_EQ(back->version, version);
    EXPECT_FALSE(back->clean_start);
    EXPECT_EQ(back->keep_alive_s, 30);
    EXPECT_EQ(back->client_id, "device-1");
    ASSERT_TRUE(back->will);
    EXPECT_EQ(back->will->topic, "gone");
    EXPECT_EQ(as_text(back->will->payload), "bye");
    EXPECT_EQ(back->will->qos, 1);
    EXPECT_TRUE(back->will->retain);
    EXPECT_EQ(back->user, "u");
    EXPECT_EQ(as_text(*back->password), "p");
    EXPECT_EQ(back->properties.bytes.size(), version == Version::v5 ? properties.size() : 0);
  }
}

struct BadConnect {
  const char* what;
  Buffer body;
  Reason reason;
};

TEST(Connect, EachFieldIsChecked) {
  const std::vector<BadConnect> table = {
      {"MQIsdp of another level", bytes({0, 6, 'M', 'Q', 'I', 's', 'd', 'p', 4, 2, 0, 0, 0, 0}),
       Reason::unsupported_version},
      {"level 6", bytes({0, 4, 'M', 'Q', 'T', 'T', 6, 2, 0, 0, 0, 0}), Reason::unsupported_version},
      {"another protocol", bytes({0, 4, 'H', 'T', 'T', 'P', 4, 2, 0, 0, 0, 0}), Reason::malformed},
      {"reserved flag", bytes({0, 4, 'M', 'Q', 'T', 'T', 4, 3, 0, 0, 0, 0}), Reason::malformed},
      {"will QoS without will", bytes({0, 4, 'M', 'Q', 'T', 'T', 4, 0x0a, 0, 0, 0, 0}),
       Reason::malformed},
      {"will QoS 3", bytes({0, 4, 'M', 'Q', 'T', 'T', 4, 0x1e, 0, 0, 0, 0, 0, 0, 0, 0}),
       Reason::malformed},
      {"password alone", bytes({0, 4, 'M', 'Q', 'T', 'T', 4, 0x42, 0, 0, 0, 0, 0, 0}),
       Reason::malformed},
      {"cut off", bytes({0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 5, 'a'}), Reason::malformed},
      {"too long", bytes({0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 0, 9}), Reason::malformed},
      {"client id not UTF-8", bytes({0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 0xff}),
       Reason::malformed},
      {"client id with NUL", bytes({0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 0}),
       Reason::malformed},
      {"authentication data alone",
       bytes({0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 3, 0x16, 0, 0, 0, 0}), Reason::protocol_error},
      {"receive maximum 0", bytes({0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 3, 0x21, 0, 0, 0, 0}),
       Reason::protocol_error},
  };
  for (const auto& [what, body, reason] : table) {
    const auto connect = decode_connect(body);
    ASSERT_FALSE(connect) << what;
    EXPECT_EQ(connect.error().reason, reason) << what << ": " << connect.error().text;
  }
}

TEST(Publish, ComesBackAsItWasWritten) {
  const std::vector<std::uint32_t> ids = {1, 300};
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    for (std::uint8_t qos = 0; qos <= 2; ++qos) {
      const std::uint16_t id = qos > 0 ? 513 : 0;
      const OutgoingPublish publish{.topic_prefix = "sensors/",
                                    .topic = "a",
                                    .payload = as_bytes("21.5"),
                                    .packet_id = id,
                                    .qos = qos,
                                    .retain = true,
                                    .properties = {},
                                    .subscription_ids = ids};
      const PublishSize size = measure_publish(version, publish);
      Buffer wire;
      encode_publish(wire, version, publish, size);
      EXPECT_EQ(wire.size(), size.total);
      const auto back = decode_publish(whole(wire), version);
      ASSERT_TRUE(back) << back.error().text;
      EXPECT_EQ(back->topic, "sensors/a");
      EXPECT_EQ(as_text(back->payload), "21.5");
      EXPECT_EQ(back->packet_id, id);
      EXPECT_EQ(back->qos, qos);
      EXPECT_TRUE(back->retain);
      std::vector<std::uint32_t> found;
      for_each_property(back->properties, [&](const Property& p) { found.push_back(p.number); });
      EXPECT_EQ(found, version == Version::v5 ? ids : std::vector<std::uint32_t>{});
    }
  }
}

TEST(Publish, IsRefusedWhenAFieldIsWrong) {
  const auto reason_of = [](const Buffer& wire, Version version) {
    const auto publish = decode_publish(whole(wire), version);
    return publish ? std::nullopt : std::optional(publish.error().reason);
  };
  EXPECT_EQ(reason_of(bytes({0x36, 5, 0, 1, 'a', 0, 1}), Version::v3_1_1), Reason::malformed)
      << "QoS 3";
  EXPECT_EQ(reason_of(bytes({0x38, 3, 0, 1, 'a'}), Version::v3_1_1), Reason::malformed)
      << "DUP with QoS 0";
  EXPECT_EQ(reason_of(bytes({0x32, 5, 0, 1, 'a', 0, 0}), Version::v3_1_1), Reason::protocol_error)
      << "id 0";
  EXPECT_EQ(reason_of(bytes({0x30, 3, 0, 9, 'a'}), Version::v3_1_1), Reason::malformed)
      << "topic cut off";
  EXPECT_EQ(reason_of(bytes({0x30, 3, 0, 1, 0xc0}), Version::v3_1_1), Reason::malformed)
      << "not UTF-8";
  EXPECT_EQ(reason_of(bytes({0x30, 3, 0, 1, 0}), Version::v3_1_1), Reason::malformed) << "NUL";
  EXPECT_EQ(reason_of(bytes({0x30, 4, 0, 1, 'a', 9}), Version::v5), Reason::malformed)
      << "properties cut off";
  EXPECT_EQ(reason_of(bytes({0x30, 5, 0, 1, 'a', 0x80, 0}), Version::v5), Reason::malformed)
      << "their length in more bytes than it needs";
}

TEST(Acknowledgements, ComeBackAsTheyWereWritten) {
  Buffer wire;
  encode_ack(wire, Version::v5, PacketType::puback,
             {.packet_id = 7, .code = 0x97, .properties = {}});
  auto ack = decode_ack(whole(wire).body, Version::v5);
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->packet_id, 7);
  EXPECT_EQ(ack->code, 0x97);

  wire.clear();
  encode_ack(wire, Version::v5, PacketType::puback, {.packet_id = 7, .properties = {}});
  EXPECT_EQ(wire, bytes({0x40, 2, 0, 7})) << "success needs no code";

  wire.clear();
  encode_suback(wire, Version::v3_1_1,
                {.packet_id = 9, .properties = {}, .codes = bytes({1, 0x80})});
  EXPECT_EQ(wire, bytes({0x90, 4, 0, 9, 1, 0x80}));
  wire.clear();
  encode_suback(wire, Version::v5, {.packet_id = 9, .properties = {}, .codes = bytes({1})});
  EXPECT_EQ(wire, bytes({0x90, 4, 0, 9, 0, 1}));
  wire.clear();
  encode_unsuback(wire, Version::v3_1_1,
                  {.packet_id = 9, .properties = {}, .codes = bytes({0x11})});
  EXPECT_EQ(wire, bytes({0xb0, 2, 0, 9}));
  wire.clear();
  encode_disconnect(wire, Version::v5, {.code = 0x8e, .properties = {}});
  EXPECT_EQ(wire, bytes({0xe0, 1, 0x8e}));
  EXPECT_EQ(decode_disconnect(whole(wire).body, Version::v5)->code, 0x8e);
}

TEST(Subscribe, ComesBackAsItWasWritten) {
  Buffer filters;
  append_subscription(filters, {.filter = "a/+", .qos = 1, .no_local = true});
  append_subscription(filters,
                      {.filter = "#", .qos = 2, .retain_as_published = true, .retain_handling = 2});
  Buffer wire;
  encode_subscribe(wire, Version::v5, {.packet_id = 3, .properties = {}, .filters = filters});
  const auto back = decode_subscribe(whole(wire).body, Version::v5);
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(back->count, 2u);
  std::vector<Subscription> found;
  for_each_subscription(*back, [&](const Subscription& s) { found.push_back(s); });
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].filter, "a/+");
  EXPECT_EQ(found[0].qos, 1);
  EXPECT_TRUE(found[0].no_local);
  EXPECT_EQ(found[1].filter, "#");
  EXPECT_TRUE(found[1].retain_as_published);
  EXPECT_EQ(found[1].retain_handling, 2);
}

TEST(Subscribe, IsRefusedWhenAFieldIsWrong) {
  const auto reason_of = [](const Buffer& body, Version version) {
    const auto packet = decode_subscribe(body, version);
    return packet ? std::nullopt : std::optional(packet.error().reason);
  };
  EXPECT_EQ(reason_of(bytes({0, 1}), Version::v3_1_1), Reason::protocol_error) << "no filter";
  EXPECT_EQ(reason_of(bytes({0, 0, 0, 1, 'a', 0}), Version::v3_1_1), Reason::protocol_error)
      << "id 0";
  EXPECT_EQ(reason_of(bytes({0, 1, 0, 1, 'a'}), Version::v3_1_1), Reason::malformed)
      << "no options";
  EXPECT_EQ(reason_of(bytes({0, 1, 0, 1, 'a', 3}), Version::v3_1_1), Reason::malformed) << "QoS 3";
  EXPECT_EQ(reason_of(bytes({0, 1, 0, 1, 'a', 4}), Version::v3_1_1), Reason::malformed)
      << "no-local in 3.1.1";
  EXPECT_EQ(reason_of(bytes({0, 1, 0, 0, 1, 'a', 4}), Version::v5), std::nullopt);
  EXPECT_EQ(reason_of(bytes({0, 1, 0, 0, 1, 'a', 0x30}), Version::v5), Reason::protocol_error)
      << "retain handling 3";
  EXPECT_EQ(reason_of(bytes({0, 1, 2, 0x0b, 0, 0, 1, 'a', 0}), Version::v5), Reason::protocol_error)
      << "subscription identifier 0";
}

TEST(Properties, AreAllowedOnlyWhereTheStandardSays) {
  const auto reason_of = [](const Buffer& block, PropertyHome home) {
    const auto valid = validate_properties({block}, home);
    return valid ? std::nullopt : std::optional(valid.error().reason);
  };
  const Buffer expiry = bytes({2, 0, 0, 0, 9});
  EXPECT_EQ(reason_of(expiry, PropertyHome::publish), std::nullopt);
  EXPECT_EQ(reason_of(expiry, PropertyHome::will), std::nullopt);
  EXPECT_EQ(reason_of(expiry, PropertyHome::connect), Reason::protocol_error);
  EXPECT_EQ(reason_of(bytes({1, 1, 1, 1}), PropertyHome::publish), Reason::protocol_error)
      << "twice";
  EXPECT_EQ(reason_of(bytes({1, 2}), PropertyHome::publish), Reason::protocol_error)
      << "out of range";
  EXPECT_EQ(reason_of(bytes({0x7f, 0}), PropertyHome::publish), Reason::malformed) << "unknown";
  EXPECT_EQ(reason_of(bytes({2, 0, 0}), PropertyHome::publish), Reason::malformed) << "cut off";
  EXPECT_EQ(reason_of(bytes({3, 0, 1, 0xff}), PropertyHome::publish), Reason::malformed)
      << "not UTF-8";
  EXPECT_EQ(reason_of(bytes({8, 0, 1, '#'}), PropertyHome::publish), Reason::protocol_error)
      << "wildcard";
  EXPECT_EQ(reason_of(bytes({0x0b, 0x81, 0x00}), PropertyHome::subscribe), Reason::malformed)
      << "a variable byte integer in more bytes than it needs";
  const Buffer user_twice = bytes({0x26, 0, 1, 'k', 0, 1, 'v', 0x26, 0, 1, 'k', 0, 1, 'w'});
  EXPECT_EQ(reason_of(user_twice, PropertyHome::unsubscribe), std::nullopt);
  const Buffer id_twice = bytes({0x0b, 1, 0x0b, 2});
  EXPECT_EQ(reason_of(id_twice, PropertyHome::publish), std::nullopt)
      << "one per matching subscription";
  EXPECT_EQ(reason_of(id_twice, PropertyHome::subscribe), Reason::protocol_error);
}

}  // namespace
}  // namespace sluice::mqtt
