#include <memory>
#include <string>

#include "base/assert.h"
#include "kafka/frame.h"
#include "kafka/messages.h"
#include "log/record_batch.h"
#include "suite.h"

namespace sluice::micro {
namespace {

constexpr std::int16_t produce_version = 9;
constexpr std::int16_t fetch_version = 12;
constexpr std::size_t batch_records = 64;

std::shared_ptr<log::Block> make_batch() {
  const std::string value(100, 'p');
  log::BatchBuilder builder;
  for (std::size_t i = 0; i < batch_records; ++i)
    builder.add(1000, {.key = as_bytes("machine-42"), .value = as_bytes(value), .headers = {}});
  return builder.finish();
}

Buffer produce_request(Bytes batch) {
  const kafka::Api& api = *kafka::find_api(kafka::ApiKey::produce);
  kafka::Frame frame;
  Writer writer(frame.bytes);
  writer.write<std::int32_t>(0);
  writer.write<std::int16_t>(static_cast<std::int16_t>(api.key));
  writer.write<std::int16_t>(produce_version);
  writer.write<std::int32_t>(1);
  writer.write<std::int16_t>(-1);  // no client id
  writer.write_uvarint(0);
  kafka::ProduceRequest request{
      .acks = -1,
      .timeout_ms = 30'000,
      .topics = {{.name = "sensors", .partitions = {{.index = 0, .records = batch}}}}};
  kafka::Encoder(frame, produce_version, api.flexible(produce_version)).message(request);
  writer.patch<std::int32_t>(0, static_cast<std::int32_t>(frame.size() - kafka::frame_size_bytes));
  SLUICE_ASSERT(frame.splices.empty());
  return frame.bytes;
}

kafka::ProduceRequest decode_produce(Bytes in) {
  const auto frame = kafka::next_frame(in, 16 << 20);
  SLUICE_ASSERT(frame && *frame);
  const auto request = kafka::decode_request(**frame);
  SLUICE_ASSERT(request && request->header.supported());
  auto message =
      kafka::Decoder(request->body, produce_version, true).message<kafka::ProduceRequest>();
  SLUICE_ASSERT(message);
  return std::move(*message);
}

// Of a batch nothing is read but its place.
void decode_request(Measure& measure) {
  const Buffer bytes = produce_request(make_batch()->bytes());
  measure.run(1, [&] {
    auto request = decode_produce(bytes);
    benchmark::DoNotOptimize(request);
  });
}

// What the log asks of every batch of a client: the checksum above all.
void validate(Measure& measure) {
  const auto block = make_batch();
  measure.run(1, [&] { SLUICE_ASSERT(log::validate_batch(block->bytes())); });
}

// What an MQTT subscriber to the stream adds: where each record lies.
void index_records(Measure& measure) {
  const auto block = make_batch();
  const Buffer bytes(block->bytes().begin(), block->bytes().end());
  measure.run(batch_records, [&] {
    const log::Block received{Buffer(bytes)};
    SLUICE_ASSERT(received.index_records(1 << 20));
    SLUICE_ASSERT(received.records().size() == batch_records);
  });
}

void encode_fetch(Measure& measure, std::size_t batches) {
  const kafka::Api& api = *kafka::find_api(kafka::ApiKey::fetch);
  const auto block = make_batch();
  measure.run(1, [&] {
    kafka::FetchResponse::Partition partition{
        .index = 0, .high_watermark = 1000, .last_stable_offset = 1000, .log_start_offset = 0};
    for (std::size_t i = 0; i < batches; ++i)
      partition.records.slices.push_back({block->bytes(), block});
    kafka::FetchResponse response;
    response.topics.push_back({.name = "sensors"});
    response.topics.back().partitions.push_back(std::move(partition));
    auto frame = kafka::encode_response(api, fetch_version, 1, response);
    benchmark::DoNotOptimize(frame);
  });
}

}  // namespace

void add_kafka_codec(Suite& suite) {
  suite.add("kafka: decode Produce with 1 batch", decode_request);
  suite.add("kafka: check a batch of 64 records", validate);
  suite.add("kafka: index 64 records of a batch", index_records);
  suite.add("kafka: encode Fetch with 1 batch", [](Measure& m) { encode_fetch(m, 1); });
  suite.add("kafka: encode Fetch with 32 batches", [](Measure& m) { encode_fetch(m, 32); });
}

}  // namespace sluice::micro
