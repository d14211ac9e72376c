#include <fmt/format.h>

#include "kafka_stream/on_cluster/kafka_test_backend_test.h"

// What stream.h promises, on a real Kafka.

namespace sluice::stream {
namespace {

using kafka_stream::KafkaTestBackend;

std::vector<BackendMaker> makers() {
  std::vector<BackendMaker> all;
  for (const std::uint32_t shards : {1u, 3u})
    all.push_back({fmt::format("{}Shards", shards),
                   [=] { return std::make_unique<KafkaTestBackend>(shards); }});
  // Room for one batch at a time.
  all.push_back({"2ShardsScarce", [] {
                   auto options = KafkaTestBackend::options();
                   options.buffer = 1;
                   return std::make_unique<KafkaTestBackend>(2, options);
                 }});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Kafka, StreamContract, testing::ValuesIn(makers()),
                         [](const auto& instance) { return "On" + instance.param.name; });

}  // namespace
}  // namespace sluice::stream
