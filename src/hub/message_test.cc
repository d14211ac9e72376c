#include "hub/message.h"

#include <gtest/gtest.h>

#include "log/record_batch.h"

namespace sluice::hub {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::shared_ptr<log::Block> block_of(const Buffer& headers, std::uint32_t count) {
  log::BatchBuilder builder;
  builder.add(
      1000,
      {.key = as_bytes("k"), .value = as_bytes("v"), .headers = headers, .headers_count = count});
  return builder.finish();
}

std::shared_ptr<log::Block> block_of(const Headers& headers) {
  Buffer encoded;
  for (const auto& [name, value] : headers) log::append_header(encoded, name, as_bytes(value));
  return block_of(encoded, static_cast<std::uint32_t>(headers.size()));
}

Headers headers_of(const log::Block& block) {
  Headers headers;
  log::for_each_header(block, block.records()[0], [&](const log::RecordHeader& header) {
    if (header.name != log::PackedHeader::name)
      headers.emplace_back(header.name, as_text(header.value));
  });
  return headers;
}

TEST(Message, PropertiesBecomeTheHeadersOfTheTable) {
  Properties properties;
  properties.content_type = "application/json";
  properties.response_topic = "answers/1";
  properties.correlation_data = as_bytes("c1");
  properties.payload_is_utf8 = true;
  properties.user = {{"site", "ams"}, {"site", "rtm"}};
  Buffer out;
  const auto count = encode_headers({.topic = "t", .properties = &properties}, out);
  EXPECT_EQ(headers_of(*block_of(out, count)), (Headers{{"content-type", "application/json"},
                                                        {"response-topic", "answers/1"},
                                                        {"correlation-id", "c1"},
                                                        {"payload-format", "1"},
                                                        {"site", "ams"},
                                                        {"site", "rtm"}}));
}

TEST(Message, PropertiesComeBackFromTheirHeaders) {
  Properties sent, got;
  sent.content_type = "text/plain";
  sent.response_topic = "";
  sent.correlation_data = Bytes();
  sent.payload_is_utf8 = false;
  sent.user = {{"content-type", "mine"}, {"mqtt", "too"}, {"mqtt.user.x", "y"}, {"", "empty"}};
  Buffer out;
  const auto count = encode_headers({.topic = "t",
                                     .qos = 2,
                                     .retain = true,
                                     .publisher = 0x1234567890abcdef,
                                     .expiry_s = 60,
                                     .qos2 = log::Qos2Evidence{0xfedcba0987654321, 0xffff, 7},
                                     .properties = &sent},
                                    out);
  const auto block = block_of(out, count);
  const auto decoded = decode_headers(*block, block->records()[0], got);
  ASSERT_TRUE(decoded.packed);
  EXPECT_EQ(decoded.packed->qos, 2);
  EXPECT_TRUE(decoded.packed->retain);
  EXPECT_EQ(decoded.packed->publisher, 0x1234567890abcdefu);
  EXPECT_EQ(decoded.packed->expiry_s, 60u);
  ASSERT_TRUE(decoded.packed->qos2);
  EXPECT_EQ(decoded.packed->qos2->uid, 0xfedcba0987654321u);
  EXPECT_EQ(decoded.packed->qos2->packet_id, 0xffff);
  EXPECT_EQ(decoded.packed->qos2->n, 7u);
  EXPECT_EQ(got.content_type, "text/plain");
  EXPECT_EQ(got.response_topic, "");
  EXPECT_EQ(got.payload_is_utf8, false);
  ASSERT_TRUE(got.correlation_data);
  EXPECT_TRUE(got.correlation_data->empty());
  EXPECT_EQ(got.user, sent.user) << "also where a user property has the name of a header of ours";
}

TEST(Message, HeadersThatMqttCannotCarryAreLeftOut) {
  const auto block = block_of(
      {{"ok", "1"}, {"bad", "\xff"}, {"nul", std::string("a\0b", 3)}, {"response-topic", "a/+"}});
  Properties got;
  const auto decoded = decode_headers(*block, block->records()[0], got);
  EXPECT_FALSE(decoded.packed);
  ASSERT_EQ(got.user.size(), 1u);
  EXPECT_EQ(got.user[0].first, "ok");
  EXPECT_FALSE(got.response_topic);
}

}  // namespace
}  // namespace sluice::hub
