#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "hub/hub.h"
#include "hub/sim_hub_test.h"
#include "topic/topic.h"

namespace sluice::hub {

// What outlives a StoredSubscriber, as a front end keeps it.
struct Saved {
  std::vector<StoredFilter> filters;
  std::vector<Position> next;
  std::vector<sessions::RetainedRest> rests{};
};

// A subscriber that can be saved, and restored on any shard. It notes what it gets, and where that
// lies.
class StoredSubscriber final : public SubscriberSink {
 public:
  explicit StoredSubscriber(Hub& hub, std::uint64_t session = 0, const LagLimits* limits = nullptr)
      : hub_(hub), limits_(limits), handle_(hub.add_subscriber(*this, session)), resumed_(true) {}
  StoredSubscriber(Hub& hub, const Saved& saved, std::uint64_t session = 0,
                   const LagLimits* limits = nullptr)
      : hub_(hub),
        limits_(limits),
        filters_(saved.filters),
        handle_(hub.restore(*this, session, saved.filters, saved.next, saved.rests,
                            [this](const Result<void>&) { restored = true; })) {}
  ~StoredSubscriber() { hub_.remove_subscriber(handle_); }
  StoredSubscriber(const StoredSubscriber&) = delete;
  StoredSubscriber& operator=(const StoredSubscriber&) = delete;

  void subscribe(sim::SimWorld& world, const std::string& text, SubscribeOptions options = {}) {
    bool done = false;
    const bool is_new = !hub_.has_filter(handle_, text);
    hub_.subscribe(handle_, text, options, [&](const Result<void>& result) {
      ASSERT_TRUE(result);
      if (is_new) filters_.push_back({text, options, hub_.tails(text)});
      done = true;
    });
    ASSERT_TRUE(world.run_until([&] { return done; }));
  }
  void replay(sim::SimWorld& world, const std::string& text, const StartPoint& from) {
    bool done = false;
    hub_.replay(handle_, text, {}, from, [&](const Result<void>& result) {
      ASSERT_TRUE(result);
      filters_.push_back({text, {}, {}});
      done = true;
    });
    ASSERT_TRUE(world.run_until([&] { return done; }));
  }
  void unsubscribe(const std::string& text) {
    hub_.unsubscribe(handle_, text);
    std::erase_if(filters_, [&](const StoredFilter& filter) { return filter.text == text; });
  }
  // Takes that many more, then no more until the next call.
  void take(std::size_t more) {
    resumed_ = true;
    room_ = more;
    hub_.resume(handle_);
  }
  void take_all() { take(1'000'000); }
  [[nodiscard]] Saved save() const {
    Saved saved{filters_, hub_.positions(handle_), hub_.retained_rests(handle_)};
    for (StoredFilter& filter : saved.filters)
      if (topic::is_replay(filter.text)) filter.since = hub_.since(handle_, filter.text);
    return saved;
  }
  [[nodiscard]] const std::vector<StoredFilter>& filters() const { return filters_; }
  [[nodiscard]] Handle handle() const { return handle_; }

  std::size_t on_records(const DeliveryBatch& batch) override {
    EXPECT_TRUE(resumed_) << "nothing comes before resume()";
    if (look) look(batch);
    std::size_t taken = 0;
    for (const auto& [first, count, grant] : batch.deliveries) {
      for (std::uint32_t i = first; i < first + count; ++i, ++taken, --room_) {
        if (room_ == 0) return taken;
        const log::Block& block = *batch.block;
        const log::Record& record = block.records()[i];
        got.push_back({{batch.partition, block.from() + record.offset_delta},
                       std::string(batch.prefix) + std::string(as_text(block.key(record))),
                       std::string(as_text(block.value(record)))});
        if (note) note(got.back());
      }
    }
    return taken;
  }
  [[nodiscard]] const LagLimits* lag_limits() const override { return limits_; }
  void on_lost(Loss why, std::uint64_t offsets) override {
    (why == Loss::retention ? lost : lost_to_limit) += offsets;
    if (const auto call = lost_too) call();  // which may end this
  }

  struct Got {
    Position position;
    std::string topic, payload;
  };
  [[nodiscard]] std::vector<std::string> payloads() const {
    std::vector<std::string> all;
    for (const Got& one : got) all.push_back(one.payload);
    return all;
  }
  std::vector<Got> got;
  std::uint64_t lost = 0;  // to retention
  std::uint64_t lost_to_limit = 0;
  bool restored = false;
  std::function<void(const DeliveryBatch&)> look;  // before anything is taken
  std::function<void(const Got&)> note;
  std::function<void()> lost_too;

 private:
  Hub& hub_;
  const LagLimits* limits_;
  std::vector<StoredFilter> filters_;
  Handle handle_;
  bool resumed_ = false;
  std::size_t room_ = 1'000'000;
};

}  // namespace sluice::hub
