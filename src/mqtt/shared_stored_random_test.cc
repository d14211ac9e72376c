// Members of a shared subscription with stored sessions come, go, and take each other's place: at
// QoS 2 each message reaches exactly one of them, once.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "mqtt/stored_world_test.h"

namespace sluice::mqtt {
namespace {

const std::string shared = "$share/g/t/#";

class World : public StoredWorld {
 public:
  // Sessions stay: one that ends may take a message along.
  World(std::uint64_t seed, Omissions omit) : StoredWorld(seed, omit, {}) { hold(); }

 private:
  // The first client stays a member, whether it is connected or not.
  void hold() {
    connect(clients_.front());
    while (!clients_.front().connected()) step(true);
    clients_.front().subscribe(shared);
    while (!clients_.front().idle()) step(true);
  }

  void subscribe(ModelClient& client) override { client.subscribe(shared); }
  void unsubscribe(ModelClient& client) override {
    if (&client != &clients_.front()) client.unsubscribe(shared);
  }

  // How often each message has come, by topic and number.
  [[nodiscard]] std::map<std::pair<std::string, int>, int> received() const {
    std::map<std::pair<std::string, int>, int> all;
    for (const ModelClient& client : clients_)
      for (const auto& [topic, numbers] : client.received())
        for (const int number : numbers) ++all[{topic, number}];
    return all;
  }

  [[nodiscard]] std::optional<std::string> violation() const override {
    const auto all = received();
    for (const ModelClient& client : clients_) {
      for (int number = 0; number < client.published(); ++number) {
        const auto found = all.find({client.topic(), number});
        const int times = found == all.end() ? 0 : found->second;
        if (times != 1) return fmt::format("{} {} came {} times", client.topic(), number, times);
      }
    }
    return std::nullopt;
  }
};

using SharedStoredRandom = StoredWorldTest<World>;

TEST_F(SharedStoredRandom, AtQos2EachMessageReachesOneMemberOnceWhateverHappens) {
  expect_no_violation();
}

TEST_F(SharedStoredRandom, NoticesIfAPacketLeavesBeforeItIsDurable) {
  expect_violation({.publish = true});
}

}  // namespace
}  // namespace sluice::mqtt
