#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>

#include "kafka/frame.h"
#include "kafka/messages.h"

namespace sluice::kafka {
namespace {

Buffer from_hex(std::string_view text) {
  Buffer out;
  std::string digits;
  for (const char c : text) {
    if (c != ' ') digits += c;
    if (digits.size() < 2) continue;
    out.push_back(static_cast<std::byte>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return out;
}

std::string to_hex(Bytes bytes) {
  std::string out;
  for (const auto byte : bytes) {
    if (!out.empty()) out += ' ';
    out += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  }
  return out;
}

template <class Message>
std::string encoded(Message message, std::int16_t version, bool flexible) {
  Frame frame;
  Encoder(frame, version, flexible).message(message);
  return to_hex(frame.bytes);
}

// Decoded messages point into their bytes: those of a test stay.
const Buffer& kept(Buffer bytes) {
  static std::deque<Buffer> all;
  return all.emplace_back(std::move(bytes));
}

template <class Message>
Result<Message> decoded(Buffer bytes, std::int16_t version, bool flexible) {
  return Decoder(kept(std::move(bytes)), version, flexible).message<Message>();
}

TEST(KafkaFrame, IsCutAtItsSize) {
  const auto two = from_hex("00 00 00 02 aa bb 00 00 00 01 cc");
  const auto first = next_frame(two, 100);
  ASSERT_TRUE(first && *first);
  EXPECT_EQ(to_hex(**first), "aa bb");
}

TEST(KafkaFrame, WaitsForMoreBytes) {
  for (const auto* part : {"", "00 00 00", "00 00 00 02", "00 00 00 02 aa"}) {
    const auto bytes = from_hex(part);
    const auto frame = next_frame(bytes, 100);
    ASSERT_TRUE(frame) << part;
    EXPECT_FALSE(*frame) << part;
  }
}

TEST(KafkaFrame, OverTheLimitIsRefusedByItsSizeFieldAlone) {
  EXPECT_EQ(next_frame(from_hex("00 00 00 65"), 100).error().code, Errc::too_large);
  EXPECT_EQ(next_frame(from_hex("7f ff ff ff"), 100).error().code, Errc::too_large);
  EXPECT_EQ(next_frame(from_hex("ff ff ff ff"), 100).error().code, Errc::malformed);
}

TEST(KafkaHeader, HasTaggedFieldsInFlexibleVersionsOnly) {
  const auto old_form = from_hex("00 03 00 08 00 00 00 07 00 02 6d 65 11 22");
  const auto old_request = decode_request(old_form);
  ASSERT_TRUE(old_request);
  EXPECT_EQ(old_request->header.client_id, "me");
  EXPECT_EQ(old_request->header.correlation_id, 7);
  EXPECT_EQ(to_hex(old_request->body), "11 22");

  // One tagged field, number 5 with two bytes; the client id keeps its old form.
  const auto flexible = from_hex("00 03 00 09 00 00 00 07 00 02 6d 65 01 05 02 ee ee 11 22");
  const auto request = decode_request(flexible);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header.client_id, "me");
  EXPECT_EQ(to_hex(request->body), "11 22");
}

TEST(KafkaHeader, OfAnUnknownRequestIsReadAsFarAsItIsKnown) {
  const auto request = decode_request(from_hex("03 e7 00 01 00 00 00 07 ff"));
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->header.supported());
  EXPECT_EQ(request->header.key, 999);
  EXPECT_EQ(request->header.correlation_id, 7);
}

TEST(KafkaHeader, CutShortIsMalformed) {
  const auto whole = from_hex("00 03 00 09 00 00 00 07 00 02 6d 65 01 05 02 ee ee");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode_request(Bytes(whole).first(size))) << size;
  }
}

// The answer to ApiVersions is read by clients that don't know yet what this server speaks.
TEST(KafkaResponse, OfApiVersionsHasTheOldHeaderInAllVersions) {
  ApiVersionsResponse response{.error_code = ErrorCode::none, .api_keys = {{18, 0, 4}}};
  const auto& api = *find_api(ApiKey::api_versions);
  EXPECT_EQ(to_hex(encode_response(api, 0, 9, response).bytes),
            "00 00 00 10 00 00 00 09 00 00 00 00 00 01 00 12 00 00 00 04");
  EXPECT_EQ(to_hex(encode_response(api, 3, 9, response).bytes),
            "00 00 00 13 00 00 00 09 00 00 02 00 12 00 00 00 04 00 00 00 00 00 00");
}

TEST(KafkaResponse, OfOtherFlexibleVersionsHasTaggedFieldsInTheHeader) {
  InitProducerIdResponse response{.producer_id = 1, .producer_epoch = 0};
  const auto& api = *find_api(ApiKey::init_producer_id);
  EXPECT_EQ(to_hex(encode_response(api, 1, 9, response).bytes),
            "00 00 00 14 00 00 00 09 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00");
  EXPECT_EQ(to_hex(encode_response(api, 2, 9, response).bytes),
            "00 00 00 16 00 00 00 09 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00");
}

TEST(KafkaCodec, MetadataRequestInItsLayouts) {
  const auto v0 = decoded<MetadataRequest>(from_hex("00 00 00 01 00 01 61"), 0, false);
  ASSERT_TRUE(v0 && v0->topics);
  EXPECT_EQ(v0->topics->at(0).name, "a");
  EXPECT_TRUE(v0->allow_auto_topic_creation) << "brokers of that time always did";

  const auto v1 = decoded<MetadataRequest>(from_hex("ff ff ff ff"), 1, false);
  ASSERT_TRUE(v1);
  EXPECT_FALSE(v1->topics);

  const auto v4 = decoded<MetadataRequest>(from_hex("00 00 00 00 00"), 4, false);
  ASSERT_TRUE(v4 && v4->topics);
  EXPECT_TRUE(v4->topics->empty());
  EXPECT_FALSE(v4->allow_auto_topic_creation);

  const auto v8 = decoded<MetadataRequest>(from_hex("ff ff ff ff 01 01 00"), 8, false);
  ASSERT_TRUE(v8);
  EXPECT_TRUE(v8->include_cluster_authorized_operations);

  const auto v12 =
      decoded<MetadataRequest>(from_hex("03"
                                        "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 02 61 00"
                                        "00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 00 00 00"
                                        "01 00 00"),
                               12, true);
  ASSERT_TRUE(v12 && v12->topics) << v12.error().text;
  EXPECT_EQ(v12->topics->at(0).name, "a");
  EXPECT_FALSE(v12->topics->at(1).name);
  EXPECT_EQ(to_hex(v12->topics->at(1).topic_id.bytes),
            "00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 00");
}

MetadataResponse small_metadata() {
  return {.brokers = {{.node_id = 0, .host = "h", .port = 9092, .rack = std::nullopt}},
          .cluster_id = "c",
          .topics = {{.name = "t", .partitions = {{.replica_nodes = {0}, .isr_nodes = {0}}}}}};
}

TEST(KafkaCodec, MetadataResponseInItsLayouts) {
  const std::string broker = "00 00 00 01 00 00 00 00 00 01 68 00 00 23 84";
  EXPECT_EQ(encoded(small_metadata(), 0, false),
            broker +
                " 00 00 00 01 00 00 00 01 74"  // no error, t
                " 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 "
                "00 00 00");
  EXPECT_EQ(encoded(small_metadata(), 1, false),
            broker +
                " ff ff"        // rack
                " 00 00 00 00"  // controller
                " 00 00 00 01 00 00 00 01 74 00"
                " 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 "
                "00 00 00");
  EXPECT_EQ(encoded(small_metadata(), 12, true),
            "00 00 00 00"
            " 02 00 00 00 00 02 68 00 00 23 84 00 00"
            " 02 63 00 00 00 00"
            " 02 00 00 02 74 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
            " 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 02 00 00 00 00 02 00 00 00 00 01 00"
            " 80 00 00 00 00"
            " 00");
}

TEST(KafkaCodec, ProduceRequestInItsLayouts) {
  const auto v3 = decoded<ProduceRequest>(from_hex("ff ff ff ff 00 00 03 e8 00 00 00 01 00 01 74 "
                                                   "00 00 00 01 00 00 00 02 00 00 00 03 aa bb cc"),
                                          3, false);
  ASSERT_TRUE(v3);
  EXPECT_EQ(v3->acks, -1);
  EXPECT_EQ(v3->timeout_ms, 1000);
  EXPECT_EQ(v3->topics.at(0).name, "t");
  EXPECT_EQ(v3->topics[0].partitions.at(0).index, 2);
  EXPECT_EQ(to_hex(v3->topics[0].partitions[0].records.value()), "aa bb cc");

  const auto v9 = decoded<ProduceRequest>(
      from_hex("00 00 01 00 00 03 e8 02 02 74 02 00 00 00 02 04 aa bb cc 00 00 00"), 9, true);
  ASSERT_TRUE(v9) << v9.error().text;
  EXPECT_FALSE(v9->transactional_id);
  EXPECT_EQ(v9->acks, 1);
  EXPECT_EQ(to_hex(v9->topics.at(0).partitions.at(0).records.value()), "aa bb cc");
}

TEST(KafkaCodec, ProduceResponseGrowsWithTheVersions) {
  const ProduceResponse response{
      .topics = {{.name = "t", .partitions = {{.index = 0, .base_offset = 7}}}}};
  const std::string until_offset =
      "00 00 00 01 00 01 74 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 07";
  const std::string minus_one = " ff ff ff ff ff ff ff ff";
  EXPECT_EQ(encoded(response, 3, false), until_offset + minus_one + " 00 00 00 00");
  EXPECT_EQ(encoded(response, 5, false), until_offset + minus_one + minus_one + " 00 00 00 00");
  EXPECT_EQ(encoded(response, 8, false),
            until_offset + minus_one + minus_one + " 00 00 00 00 ff ff" + " 00 00 00 00");
  EXPECT_EQ(encoded(response, 9, true), "02 02 74 02 00 00 00 00 00 00 00 00 00 00 00 00 00 07" +
                                            minus_one + minus_one + " 01 00 00 00 00 00 00 00 00");
}

TEST(KafkaCodec, FetchRequestInItsLayouts) {
  const std::string head = "ff ff ff ff 00 00 01 f4 00 00 00 01 00 00 10 00 00";
  const std::string session = " 00 00 00 00 ff ff ff ff";
  const auto v4 = decoded<FetchRequest>(
      from_hex(head +
               " 00 00 00 01 00 01 74 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 09 00 00 20 00"),
      4, false);
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->max_wait_ms, 500);
  EXPECT_EQ(v4->topics.at(0).partitions.at(0).fetch_offset, 9);
  EXPECT_EQ(v4->topics[0].partitions[0].partition_max_bytes, 8192);

  const auto v11 = decoded<FetchRequest>(
      from_hex(head + session +
               " 00 00 00 01 00 01 74 00 00 00 01 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 09"
               " 00 00 00 00 00 00 00 00 00 00 20 00 00 00 00 00 00 00"),
      11, false);
  ASSERT_TRUE(v11) << v11.error().text;
  EXPECT_EQ(v11->topics.at(0).partitions.at(0).current_leader_epoch, 5);
  EXPECT_EQ(v11->session_epoch, -1);

  const auto v12 = decoded<FetchRequest>(
      from_hex(head + session +
               " 02 02 74 02 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 09 ff ff ff ff"
               " 00 00 00 00 00 00 00 00 00 00 20 00 00 00 01 01 00"),
      12, true);
  ASSERT_TRUE(v12) << v12.error().text;
  EXPECT_EQ(v12->topics.at(0).partitions.at(0).last_fetched_epoch, -1);
}

TEST(KafkaCodec, FetchResponseCarriesBatchesBehindTheirSize) {
  const auto batch = from_hex("aa bb");
  FetchResponse response{
      .topics = {
          {.name = "t",
           .partitions = {{.high_watermark = 5, .last_stable_offset = 5, .log_start_offset = 1}}}}};
  response.topics[0].partitions[0].records.slices = {{batch, nullptr}, {batch, nullptr}};
  const std::string topic = "00 00 00 01 00 01 74 00 00 00 01 00 00 00 00 00 00";
  const std::string offsets = " 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 05";
  EXPECT_EQ(encoded(response, 4, false),
            "00 00 00 00 " + topic + offsets + " ff ff ff ff 00 00 00 04 aa bb aa bb");
  EXPECT_EQ(encoded(response, 11, false),
            "00 00 00 00 00 00 00 00 00 00 " + topic + offsets +
                " 00 00 00 00 00 00 00 01 ff ff ff ff ff ff ff ff 00 00 00 04 aa bb aa bb");
  EXPECT_EQ(encoded(response, 12, true),
            "00 00 00 00 00 00 00 00 00 00 02 02 74 02 00 00 00 00 00 00" + offsets +
                " 00 00 00 00 00 00 00 01 00 ff ff ff ff 05 aa bb aa bb 00 00 00");
}

TEST(KafkaCodec, LargeSlicesAreNotCopied) {
  const auto block = std::make_shared<const Buffer>(Encoder::copied_max + 1);
  FetchResponse response{.topics = {{.name = "t", .partitions = {{}}}}};
  response.topics[0].partitions[0].records.slices = {{*block, block}};
  const auto frame = encode_response(*find_api(ApiKey::fetch), 4, 1, response);
  ASSERT_EQ(frame.splices.size(), 1u);
  EXPECT_EQ(frame.splices[0].slice.bytes.data(), block->data());
  EXPECT_EQ(frame.splices[0].at, frame.bytes.size());
  EXPECT_EQ(load_be<std::int32_t>(frame.bytes.data()),
            static_cast<std::int32_t>(frame.bytes.size() - 4 + block->size()));
}

TEST(KafkaCodec, ListOffsetsInItsLayouts) {
  const auto v1 = decoded<ListOffsetsRequest>(
      from_hex("ff ff ff ff 00 00 00 01 00 01 74 00 00 00 01 00 00 00 03 ff ff ff ff ff ff ff fe"),
      1, false);
  ASSERT_TRUE(v1);
  EXPECT_EQ(v1->topics.at(0).partitions.at(0).timestamp, ListOffsetsRequest::earliest);
  const ListOffsetsResponse response{
      .topics = {{.name = "t", .partitions = {{.index = 3, .offset = 9}}}}};
  EXPECT_EQ(encoded(response, 1, false),
            "00 00 00 01 00 01 74 00 00 00 01 00 00 00 03 00 00 ff ff ff ff ff ff ff ff 00 00 00 "
            "00 00 00 00 09");
  EXPECT_EQ(
      encoded(response, 6, true),
      "00 00 00 00 02 02 74 02 00 00 00 03 00 00 ff ff ff ff ff ff ff ff 00 00 00 00 00 00 00 09"
      " ff ff ff ff 00 00 00");
}

TEST(KafkaCodec, CreateTopicsInItsLayouts) {
  const auto v5 = decoded<CreateTopicsRequest>(
      from_hex("02 02 74 ff ff ff ff ff ff 01 02 02 6b 02 76 00 00 00 00 03 e8 01 00"), 5, true);
  ASSERT_TRUE(v5) << v5.error().text;
  EXPECT_EQ(v5->topics.at(0).configs.at(0).name, "k");
  EXPECT_EQ(v5->topics[0].configs[0].value, "v");
  EXPECT_TRUE(v5->validate_only);
  const CreateTopicsResponse response{
      .topics = {{.name = "t", .num_partitions = 1, .replication_factor = 1}}};
  EXPECT_EQ(encoded(response, 4, false), "00 00 00 00 00 00 00 01 00 01 74 00 00 ff ff");
  EXPECT_EQ(encoded(response, 5, true), "00 00 00 00 02 02 74 00 00 00 00 00 00 01 00 01 01 00 00");
}

TEST(KafkaCodec, DeleteTopicsNamesTopicsOrTheirIds) {
  const auto v5 = decoded<DeleteTopicsRequest>(from_hex("02 02 74 00 00 03 e8 00"), 5, true);
  ASSERT_TRUE(v5) << v5.error().text;
  EXPECT_EQ(v5->topic_names.at(0), "t");
  const auto v6 = decoded<DeleteTopicsRequest>(
      from_hex("02 00 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00 00 00 00 00 03 e8 00"), 6, true);
  ASSERT_TRUE(v6) << v6.error().text;
  EXPECT_FALSE(v6->topics.at(0).name);
}

TEST(KafkaCodec, DescribeConfigsInItsLayouts) {
  const auto v1 =
      decoded<DescribeConfigsRequest>(from_hex("00 00 00 01 02 00 01 74 ff ff ff ff 01"), 1, false);
  ASSERT_TRUE(v1);
  EXPECT_FALSE(v1->resources.at(0).keys);
  EXPECT_TRUE(v1->include_synonyms);
  DescribeConfigsResponse response;
  response.results.push_back({.type = 2, .name = "t", .configs = {{.name = "k", .value = "v"}}});
  EXPECT_EQ(encoded(response, 1, false),
            "00 00 00 00 00 00 00 01 00 00 ff ff 02 00 01 74 00 00 00 01 00 01 6b 00 01 76 00 05 "
            "00 00 00 00 00");
  EXPECT_EQ(encoded(response, 4, true),
            "00 00 00 00 02 00 00 00 02 02 74 02 02 6b 02 76 00 05 00 01 00 00 00 00 00");
}

TEST(KafkaCodec, BytesBehindAMessageAreIgnored) {
  const auto all = decoded<MetadataRequest>(from_hex("00 00 00 00 01 00 00"), 12, true);
  ASSERT_TRUE(all) << all.error().text;
  EXPECT_FALSE(all->topics) << "librdkafka asks for all topics in these bytes";
}

TEST(KafkaCodec, BadBodiesAreRefused) {
  EXPECT_FALSE(
      decoded<MetadataRequest>(from_hex("00 00 00 01 ff ff"), 1, false).value().topics->at(0).name);
  const auto null_name =
      decoded<ListOffsetsRequest>(from_hex("ff ff ff ff 00 00 00 01 ff ff 00 00 00 00"), 1, false);
  ASSERT_FALSE(null_name);
  EXPECT_EQ(null_name.error().text, "null in place of a string");
  const auto cut = decoded<MetadataRequest>(from_hex("00 00 00 01 00 05 61"), 1, false);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().text, "it ends in the middle of a field");
}

TEST(KafkaCodec, ArraysAreNeverLargerThanTheMessage) {
  const auto huge = decoded<MetadataRequest>(from_hex("7f ff ff ff 00 01 61"), 1, false);
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().text, "an array is longer than the message");

  Buffer many(4 + 2 * (Decoder::elements_max + 1), std::byte{0});
  store_be<std::int32_t>(many.data(), static_cast<std::int32_t>(Decoder::elements_max + 1));
  const auto too_many = decoded<MetadataRequest>(many, 1, false);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().text, "too many array elements");
}

// Every API of the table in every version: what is written can be read, and says the same.
TEST(KafkaCodec, EmptyMessagesSurviveTheWayThroughAllVersions) {
  for (const Api& api : all_apis()) {
    visit_messages(api.key, [&]<class Request, class Response>() {
      for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
        const auto check = [&]<class Message>(Message message) {
          const auto once = encoded(message, version, api.flexible(version));
          const auto bytes = from_hex(once);
          const auto again = decoded<Message>(bytes, version, api.flexible(version));
          ASSERT_TRUE(again) << api.name << " version " << version;
          EXPECT_EQ(encoded(*again, version, api.flexible(version)), once);
        };
        check(Request{});
        check(Response{});
      }
    });
  }
}

}  // namespace
}  // namespace sluice::kafka
