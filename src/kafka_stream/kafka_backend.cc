#include "kafka_stream/kafka_backend.h"

#include <atomic>
#include <utility>

#include "kafka_stream/kafka_stream.h"

namespace sluice::kafka_stream {

class KafkaBackend::Impl {
 public:
  explicit Impl(const std::vector<Shard>& shards) : places_(shards) {}
  // The threads end first: they post to the shards.
  ~Impl() {
    cluster_.registry.reset();
    cluster_.tails.reset();
    cluster_.readers.reset();
    cluster_.producer.reset();
  }

  Result<void> open(const Options& options) {
    SLUICE_TRY_ASSIGN(cluster_.producer, Producer::make(options, [this] { tell_room(); }));
    SLUICE_TRY_ASSIGN(cluster_.readers, ReaderPool::make(options));
    SLUICE_TRY_ASSIGN(cluster_.tails,
                      TailReader::make(options, [this](std::uint64_t follow, DeliveryRef delivery) {
                        deliver(follow, std::move(delivery));
                      }));
    const auto count = static_cast<std::uint32_t>(places_.size());
    for (std::uint32_t i = 0; i < count; ++i)
      shards_.push_back(std::make_unique<KafkaStream>(shards_, cluster_, ShardId{i}, count,
                                                      *places_[i].loop, *places_[i].metrics));
    complete_ = true;
    cluster_.registry = std::make_unique<Registry>(
        options, *cluster_.producer, *cluster_.readers,
        [this](Change change, Task then) { announce(std::move(change), std::move(then)); });
    return {};
  }

  KafkaStream& stream(ShardId shard) { return *shards_.at(shard.value); }

  stream::Health health(ShardId shard) {
    std::string reason = shard == ShardId{0} ? cluster_.registry->trouble() : "";
    const std::string slow = stream(shard).trouble();
    if (!reason.empty() && !slow.empty()) reason += "; ";
    reason += slow;
    return {reason.empty(), std::move(reason)};
  }

  void stop(Done<void> done) {
    auto shared = std::make_shared<Done<void>>(std::move(done));
    cluster_.registry->flush(
        [this, shared] { places_.front().loop->post_from_outside([shared] { (*shared)({}); }); });
  }

 private:
  void announce(Change change, Task then) {
    if (change.empty()) return then();
    struct Count {
      std::atomic<std::size_t> left;
      Task then;
    };
    const auto count = std::make_shared<Count>(shards_.size(), std::move(then));
    const auto shared = std::make_shared<const Change>(std::move(change));
    for (const auto& shard : shards_)
      shard->apply(shared, [count] {
        if (count->left.fetch_sub(1) == 1) count->then();
      });
  }

  void deliver(std::uint64_t follow, DeliveryRef delivery) {
    const auto count = static_cast<std::uint32_t>(shards_.size());
    stream(Follows::home_of(follow, count)).deliver(follow, std::move(delivery));
  }

  void tell_room() {
    if (!complete_) return;
    for (const auto& shard : shards_) shard->room_again();
  }

  const std::vector<Shard> places_;
  Cluster cluster_;
  KafkaStream::Shards shards_;
  std::atomic<bool> complete_ = false;  // shards_ is
};

KafkaBackend::KafkaBackend() = default;
KafkaBackend::~KafkaBackend() = default;

Result<std::unique_ptr<KafkaBackend>> KafkaBackend::open(const Options& options,
                                                         const std::vector<Shard>& shards) {
  std::unique_ptr<KafkaBackend> backend(new KafkaBackend);
  backend->impl_ = std::make_unique<Impl>(shards);
  SLUICE_TRY(backend->impl_->open(options));
  return backend;
}

stream::Stream& KafkaBackend::stream(ShardId shard) { return impl_->stream(shard); }
stream::Health KafkaBackend::health(ShardId shard) { return impl_->health(shard); }
void KafkaBackend::stop(Done<void> done) { impl_->stop(std::move(done)); }

}  // namespace sluice::kafka_stream
