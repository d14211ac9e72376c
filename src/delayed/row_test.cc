#include "delayed/row.h"

#include <gtest/gtest.h>

namespace sluice::delayed {
namespace {

TEST(DelayedRow, IsTheMessageWithoutTheEvidenceOfItsPublish) {
  hub::Properties properties;
  properties.content_type = "text/plain";
  properties.payload_is_utf8 = true;
  properties.user = {{"a", "1"}, {"content-type", "mine"}};
  const Buffer bytes = encode_row({.topic = "a/b",
                                   .payload = as_bytes("payload"),
                                   .qos = 2,
                                   .retain = true,
                                   .publisher = 77,
                                   .expiry_s = 10,
                                   .qos2 = log::Qos2Evidence{.uid = 77, .packet_id = 3, .n = 9},
                                   .properties = &properties});
  const auto row = decode_row(bytes);
  ASSERT_TRUE(row);
  hub::Properties decoded;
  const hub::Message message = message_of(*row, decoded);
  EXPECT_EQ(message.topic, "a/b");
  EXPECT_EQ(as_text(message.payload), "payload");
  EXPECT_EQ(message.qos, 2);
  EXPECT_TRUE(message.retain);
  EXPECT_EQ(message.publisher, 77u);
  EXPECT_EQ(message.expiry_s, 10u);
  EXPECT_FALSE(message.qos2);
  ASSERT_EQ(message.properties, &decoded);
  EXPECT_EQ(decoded.content_type, "text/plain");
  EXPECT_EQ(decoded.payload_is_utf8, true);
  EXPECT_EQ(decoded.user, properties.user);
}

TEST(DelayedRow, OfAPlainMessageHasNoProperties) {
  const Buffer bytes = encode_row({.topic = "a"});
  hub::Properties decoded;
  decoded.content_type = "left over";
  const hub::Message message = message_of(decode_row(bytes).value(), decoded);
  EXPECT_EQ(message.properties, nullptr);
  EXPECT_TRUE(message.payload.empty());
  EXPECT_FALSE(message.expiry_s);
}

TEST(DelayedRow, ThatIsCutShortOrOfAnotherFormatIsRefused) {
  Buffer bytes = encode_row({.topic = "a/b", .payload = {}});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto row = decode_row(Bytes(bytes).first(size));
    ASSERT_FALSE(row) << size;
    EXPECT_EQ(row.error().code, Errc::malformed);
  }
  ASSERT_TRUE(decode_row(bytes));
  bytes[0] = std::byte{9};
  EXPECT_FALSE(decode_row(bytes));
  EXPECT_FALSE(decode_row(encode_row({.topic = "a/#"})));
}

TEST(DelayedRow, KeysHaveTheOrderOfTime) {
  EXPECT_LT(key_of(1'000, 9), key_of(1'001, 1));
  EXPECT_LT(key_of(1'001, 1), key_of(1'001, 2));
  EXPECT_LT(key_of(255, ~0ull), key_of(256, 0));
  EXPECT_EQ(due_of(key_of(1'714'567'890'123, 5)), 1'714'567'890'123);
  EXPECT_EQ(id_of(key_of(1'714'567'890'123, 5)), 5u);
  EXPECT_EQ(due_of("something else"), 0);
  EXPECT_EQ(id_of("something else"), 0u);
}

}  // namespace
}  // namespace sluice::delayed
