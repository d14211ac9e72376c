#include "kafka_stream/follows.h"

#include "kafka_stream/names.h"
#include "kafka_stream/on_cluster/kafka_test_backend_test.h"

namespace sluice::kafka_stream {
namespace {

// Follows of their own, beside a backend that makes streams and appends.
class FollowsOnCluster : public testing::Test, public FollowTarget {
 public:
  void on_follow_answer(Partition, std::uint64_t, Offset next) override { next_ = next; }
  void on_follow_block(Partition, std::uint64_t, const DeliveryRef& delivery) override {
    const auto values = stream::values_of(*delivery->block(), {0});
    values_.insert(values_.end(), values.begin(), values.end());
  }
  void on_follow_end(Partition, Offset) override {}

 protected:
  FollowsOnCluster() {
    readers_ = ReaderPool::make(KafkaTestBackend::options()).value();
    tails_ = TailReader::make(KafkaTestBackend::options(), [this](std::uint64_t id,
                                                                  DeliveryRef delivery) {
               loop_->post_from_outside([this, id, delivery = std::move(delivery)] {
                 last_id_ = id;
                 follows_->on_delivery(id, delivery);
               });
             }).value();
    follows_.emplace(Follows::Parts{loop_.get(), readers_.get(), tails_.get(), &catalogue_, {}, 1});
  }
  ~FollowsOnCluster() override {
    tails_.reset();
    readers_.reset();
  }

  bool run_until(std::move_only_function<bool()> done) {
    return backend_.run_until([&] {
      loop_->run_after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
      return done();
    });
  }

  KafkaTestBackend backend_{1};
  stream::Catalogue catalogue_;
  std::unique_ptr<runtime::RealLoop> loop_ = runtime::RealLoop::create();
  std::unique_ptr<ReaderPool> readers_;
  std::unique_ptr<TailReader> tails_;
  std::optional<Follows> follows_;
  std::optional<Offset> next_;
  std::uint64_t last_id_ = 0;
  std::vector<std::string> values_;
};

TEST_F(FollowsOnCluster, ATailThatStoodStillIsReadAgainWithoutLossOrRepeat) {
  const auto stream = stream::create(backend_, "sensors");
  ASSERT_TRUE(stream) << stream.error().text;
  const Partition partition{stream->id, 0};
  const Place place{topic_of("sensors"), 0};
  follows_->add_tail(partition, place, *this, 1);
  ASSERT_TRUE(run_until([&] { return next_.has_value(); }));
  ASSERT_TRUE(stream::append(backend_, {}, partition, {"a"}));
  ASSERT_TRUE(run_until([&] { return values_.size() == 1; }));

  tails_->stop(place, last_id_);  // without a word to the follow
  ASSERT_TRUE(stream::append(backend_, {}, partition, {"b", "c"}));
  ASSERT_TRUE(run_until([&] { return values_.size() >= 3; }));
  ASSERT_TRUE(stream::append(backend_, {}, partition, {"d"}));
  ASSERT_TRUE(run_until([&] { return values_.size() >= 4; }));
  EXPECT_EQ(values_, (std::vector<std::string>{"a", "b", "c", "d"}));
}

}  // namespace
}  // namespace sluice::kafka_stream
