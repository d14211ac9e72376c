#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "hub/hub.h"
#include "hub/sim_hub_test.h"

namespace sluice::hub {

class TestPublisher final : public PublisherSink {
 public:
  TestPublisher(SimHub& sim, std::uint64_t id, std::uint32_t shard = 0)
      : loop_(sim.world.loop(shard)),
        hub_(*sim.hubs[shard]),
        id_(id),
        handle_(hub_.add_publisher(*this)) {}
  ~TestPublisher() { hub_.remove_publisher(handle_); }

  Result<void> publish(const std::string& topic, const std::string& payload, std::uint8_t qos = 1) {
    return publish({.topic = topic, .payload = as_bytes(payload), .qos = qos});
  }
  // An empty payload clears the topic.
  Result<void> retain(const std::string& topic, const std::string& payload,
                      std::optional<std::uint32_t> expiry_s = {}) {
    return publish({.topic = topic,
                    .payload = as_bytes(payload),
                    .qos = 1,
                    .retain = true,
                    .expiry_s = expiry_s});
  }
  // As from a socket: there is a turn of the loop, which ends.
  Result<void> publish(Message message) {
    loop_.post([] {});
    message.publisher = id_;
    return hub_.publish(handle_, ++sequence_, message);
  }
  void wait_for_room() { hub_.wait_for_room(handle_); }

  void on_published(std::uint64_t up_to) override {
    EXPECT_GT(up_to, durable);
    durable = up_to;
  }
  void on_publish_failed(std::uint64_t, const Error& error) override { failures.push_back(error); }
  void on_room() override { ++rooms; }

  std::uint64_t durable = 0;
  int rooms = 0;
  std::vector<Error> failures;

 private:
  runtime::Loop& loop_;
  Hub& hub_;
  std::uint64_t id_;
  Handle handle_;
  std::uint64_t sequence_ = 0;
};

class TestSubscriber final : public SubscriberSink {
 public:
  explicit TestSubscriber(Hub& hub, std::uint64_t session = 0)
      : hub_(hub), handle_(hub.add_subscriber(*this, session)) {}
  ~TestSubscriber() { hub_.remove_subscriber(handle_); }

  void subscribe(sim::SimWorld& world, const std::string& filter, SubscribeOptions options = {}) {
    bool done = false;
    hub_.subscribe(handle_, filter, options, [&](const Result<void>&) { done = true; });
    ASSERT_TRUE(world.run_until([&] { return done; }));
  }
  // Without waiting for it.
  void start_subscribe(const std::string& filter, SubscribeOptions options = {}) {
    hub_.subscribe(handle_, filter, options, [this](const Result<void>&) { ++subscribed; });
  }
  Result<void> replay(sim::SimWorld& world, const std::string& text,
                      const std::optional<StartPoint>& from,
                      SubscribeOptions options = {.qos = 1}) {
    std::optional<Result<void>> result;
    hub_.replay(handle_, text, options, from, [&](Result<void> done) { result = std::move(done); });
    EXPECT_TRUE(world.run_until([&] { return result.has_value(); }));
    return *result;
  }
  bool unsubscribe(const std::string& filter) { return hub_.unsubscribe(handle_, filter); }
  void stop() { room_ = 0; }
  // Takes that many more, then no more until the next call.
  void take(std::size_t more) {
    room_ += more;
    hub_.resume(handle_);
  }

  std::size_t on_records(const DeliveryBatch& batch) override {
    waits_for_more = batch.in_portions;
    std::size_t taken = 0;
    for (const auto& [first, count, grant] : batch.deliveries) {
      for (std::uint32_t i = first; i < first + count; ++i, ++taken, --room_) {
        if (room_ == 0) return taken;
        const log::Record& record = batch.block->records()[i];
        got.push_back({std::string(batch.prefix) + std::string(as_text(batch.block->key(record))),
                       std::string(as_text(batch.block->value(record))),
                       grant->qos,
                       {grant->ids.begin(), grant->ids.end()},
                       batch.origin,
                       {batch.membership, batch.first_ticket + taken}});
      }
    }
    return taken;
  }

  void on_portions_end() override {
    EXPECT_TRUE(waits_for_more || got.empty());
    waits_for_more = false;
    ++portions_ended;
  }
  [[nodiscard]] trace::Who who() const override { return {.client = name}; }

  struct Got {
    std::string topic, payload;
    std::uint8_t qos;
    std::vector<std::uint32_t> ids;
    Origin origin;
    Ticket ticket;  // of a shared subscription
  };
  void settle(std::size_t index) {
    const Ticket& ticket = got.at(index).ticket;
    hub_.settle(ticket.membership, {&ticket.number, 1});
  }
  // All that it has got, which is from shared subscriptions and not settled.
  void settle_all() {
    for (std::size_t i = 0; i < got.size(); ++i) settle(i);
  }
  [[nodiscard]] Handle handle() const { return handle_; }
  [[nodiscard]] std::vector<std::string> payloads() const {
    std::vector<std::string> all;
    for (const Got& one : got) all.push_back(one.payload);
    return all;
  }
  std::vector<Got> got;
  int subscribed = 0;
  int portions_ended = 0;
  bool waits_for_more = false;  // what came last came in portions
  std::string name;

 private:
  Hub& hub_;
  Handle handle_;
  std::size_t room_ = 1'000'000;
};

}  // namespace sluice::hub
