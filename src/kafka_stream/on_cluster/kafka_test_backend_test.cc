#include "kafka_stream/on_cluster/kafka_test_backend_test.h"

#include <chrono>
#include <cstdlib>

#include "base/assert.h"

namespace sluice::kafka_stream {
namespace {

constexpr auto patience = std::chrono::minutes(1);

}  // namespace

Options KafkaTestBackend::options() {
  const char* const brokers = std::getenv("SLUICE_TEST_KAFKA");
  SLUICE_ASSERT(brokers);  // run it by tests/peers/kafka/kafka-run
  Options options;
  options.brokers = brokers;
  return options;
}

KafkaTestBackend::KafkaTestBackend(std::uint32_t shards, Options options)
    : options_(std::move(options)), metrics_(shards) {
  start();
}

void KafkaTestBackend::start() {
  std::vector<KafkaBackend::Shard> places;
  for (Metrics& metrics : metrics_) {
    loops_.push_back(runtime::RealLoop::create());
    places.push_back({loops_.back().get(), &metrics});
  }
  auto opened = KafkaBackend::open(options_, places);
  SLUICE_ASSERT(opened);
  backend_ = std::move(*opened);
  SLUICE_ASSERT(run_until([this] { return backend_->health({}).writable; }));
  // The streams that it has found were posted to the shards before that.
  std::size_t turned = 0;
  for (std::uint32_t i = 0; i < shards(); ++i)
    loops_[i]->post_from_outside([&turned] { ++turned; });
  SLUICE_ASSERT(run_until([&] { return turned == shards(); }));
}

void KafkaTestBackend::end() {
  backend_.reset();
  loops_.clear();
}

void KafkaTestBackend::restart() {
  end();
  start();
}

// By a new backend: the sinks that the test gave to the old one are gone.
KafkaTestBackend::~KafkaTestBackend() {
  restart();
  std::vector<std::string> names;
  for (const auto& [name, stream] : stream({}).catalogue().all())
    if (!stream.config.internal) names.push_back(name);
  for (const auto& name : names) EXPECT_TRUE(stream::remove(*this, name)) << name;
  end();
}

bool KafkaTestBackend::run_until(std::move_only_function<bool()> done) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    for (const auto& loop : loops_) {
      loop->run_after(std::chrono::milliseconds(1), [&loop] { loop->stop(); });
      loop->run();
    }
  }
  return true;
}

}  // namespace sluice::kafka_stream
