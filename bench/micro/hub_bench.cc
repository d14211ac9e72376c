#include <string>
#include <vector>

#include "base/assert.h"
#include "hub/hub.h"
#include "hub/sim_hub_test.h"
#include "suite.h"

namespace sluice::micro {
namespace {

class Publisher final : public hub::PublisherSink {
 public:
  void on_published(std::uint64_t up_to) override { durable = up_to; }
  void on_publish_failed(std::uint64_t, const Error&) override { SLUICE_ASSERT(false); }
  void on_room() override {}

  std::uint64_t durable = 0;
};

class Subscriber final : public hub::SubscriberSink {
 public:
  std::size_t on_records(const hub::DeliveryBatch& batch) override {
    received += batch.deliveries.size();
    return batch.deliveries.size();
  }

  std::uint64_t received = 0;
};

log::Options log_options() {
  log::Options options;
  options.tail_cache_size = 8 << 20;
  options.journal_size = 4 << 20;  // all zeroed within the first calls
  return options;
}

void subscribe(hub::SimHub& sim, hub::Handle subscriber) {
  bool done = false;
  sim.hubs[0]->subscribe(subscriber, "site/#", {.qos = 1}, [&](const Result<void>& result) {
    SLUICE_ASSERT(result);
    done = true;
  });
  SLUICE_ASSERT(sim.world.run_until([&] { return done; }));
}

// A turn that publishes `messages` at QoS 1, and all that follows until they are durable, have been
// acknowledged and delivered. The simulated loop and disk are counted with it.
void publish_turn(Measure& measure, std::size_t messages) {
  hub::SimHub sim(1, 1, log_options());
  hub::Hub& hub = *sim.hubs[0];
  Publisher publisher;
  Subscriber subscriber;
  const auto publishing = hub.add_publisher(publisher);
  const auto subscribed = hub.add_subscriber(subscriber, 0);
  subscribe(sim, subscribed);
  std::vector<std::string> topics;
  for (int i = 0; i < 100; ++i)
    topics.push_back("site/machine-" + std::to_string(i) + "/temperature");
  const std::string payload(100, 'p');

  std::uint64_t sequence = 0;
  measure.run(static_cast<std::int64_t>(messages), [&] {
    sim.world.loop(0).post([&] {
      for (std::size_t i = 0; i < messages; ++i) {
        const std::string& topic = topics[++sequence % topics.size()];
        SLUICE_ASSERT(
            hub.publish(publishing, sequence,
                        {.topic = topic, .payload = as_bytes(payload), .qos = 1, .publisher = 1}));
      }
    });
    const std::uint64_t wanted = sequence + messages;
    SLUICE_ASSERT(sim.world.run_until(
        [&] { return publisher.durable == wanted && subscriber.received == wanted; }));
  });
  hub.remove_subscriber(subscribed);
  hub.remove_publisher(publishing);
}

}  // namespace

void add_hub(Suite& suite) {
  suite.add("hub: publish, 1 message a turn, 1 subscriber", [](Measure& m) { publish_turn(m, 1); });
  suite.add("hub: publish, 64 messages a turn, 1 subscriber",
            [](Measure& m) { publish_turn(m, 64); });
}

}  // namespace sluice::micro
