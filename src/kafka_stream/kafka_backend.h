#pragma once

#include <memory>
#include <vector>

#include "base/metrics.h"
#include "kafka_stream/options.h"
#include "runtime/loop.h"
#include "stream/backend.h"

namespace sluice::kafka_stream {

// Streams on an existing Apache Kafka cluster, by librdkafka.
//
// Life: construct before the loops run; the cluster need not be there. stream(i) is used on shard i
// only; stop() on shard 0; destroy after the loops have stopped, before they are destroyed.
class KafkaBackend final : public stream::Backend {
 public:
  struct Shard {
    runtime::Loop* loop = nullptr;
    Metrics* metrics = nullptr;
  };
  // Errors: invalid, for a property that librdkafka refuses.
  static Result<std::unique_ptr<KafkaBackend>> open(const Options& options,
                                                    const std::vector<Shard>& shards);
  ~KafkaBackend() override;

  [[nodiscard]] stream::Stream& stream(ShardId shard) override;
  [[nodiscard]] stream::Health health(ShardId shard) override;
  // Waits some seconds for the answers to what was appended.
  void stop(Done<void> done) override;

 private:
  KafkaBackend();
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::kafka_stream
