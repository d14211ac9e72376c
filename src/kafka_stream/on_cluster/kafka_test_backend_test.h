#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "kafka_stream/kafka_backend.h"
#include "runtime/real_loop.h"
#include "stream/contract_test.h"

namespace sluice::kafka_stream {

// The backend on the Kafka that SLUICE_TEST_KAFKA names, its shards run in turn on the test's own
// thread. Removes all streams at its end, so that each test finds an empty cluster.
class KafkaTestBackend final : public stream::TestBackend {
 public:
  static Options options();  // as the tests use them

  explicit KafkaTestBackend(std::uint32_t shards, Options options = KafkaTestBackend::options());
  ~KafkaTestBackend() override;

  [[nodiscard]] std::uint32_t shards() const override {
    return static_cast<std::uint32_t>(loops_.size());
  }
  stream::Stream& stream(ShardId shard) override { return backend_->stream(shard); }
  void post(ShardId shard, Task task) override { loops_[shard.value]->post(std::move(task)); }
  // For at most a minute of real time.
  bool run_until(std::move_only_function<bool()> done) override;
  std::uint64_t random(std::uint64_t bound) override { return random_.below(bound); }

  KafkaBackend& backend() { return *backend_; }
  // Goes on as another process would that finds the same cluster.
  void restart();

 private:
  void start();
  void end();

  const Options options_;
  std::vector<std::unique_ptr<runtime::RealLoop>> loops_;
  std::vector<Metrics> metrics_;
  std::unique_ptr<KafkaBackend> backend_;
  Random random_{1};
};

}  // namespace sluice::kafka_stream
