// Clients with stored sessions subscribe to each other's topics, and exactly what was published at
// QoS 2 arrives at QoS 2.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "mqtt/stored_world_test.h"
#include "topic/topic.h"

namespace sluice::mqtt {
namespace {

class World : public StoredWorld {
 public:
  World(std::uint64_t seed, Omissions omit)
      : StoredWorld(seed, omit, {.clean_session = true, .expiry = true}) {}

 private:
  std::string any_filter() {
    constexpr std::array filters = {"#", "t/#", "t/0", "t/1", "+/2", "t/+"};
    return filters[random_.below(filters.size())];
  }

  void subscribe(ModelClient& client) override { client.subscribe(any_filter()); }
  void unsubscribe(ModelClient& client) override { client.unsubscribe(any_filter()); }

  [[nodiscard]] std::optional<std::string> violation() const override {
    for (const ModelClient& client : clients_) {
      for (const auto& [topic, numbers] : client.received())
        for (std::size_t i = 1; i < numbers.size(); ++i)
          if (numbers[i] <= numbers[i - 1])
            return fmt::format("{} to the reader of {}: {} after {}", topic, client.topic(),
                               numbers[i], numbers[i - 1]);
      if (auto lost = find_lost(client)) return lost;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<std::string> find_lost(const ModelClient& client) const {
    for (const auto& [text, filter] : client.filters()) {
      if (!filter.granted) continue;
      for (const ModelClient* publisher : publishers_) {
        if (!topic::matches(text, publisher->topic())) continue;
        const auto found = client.received().find(publisher->topic());
        for (int number = filter.from.at(publisher->topic()); number < publisher->published();
             ++number)
          if (publisher->is_certain(number) &&
              (found == client.received().end() ||
               std::ranges::find(found->second, number) == found->second.end()))
            return fmt::format("{} {} did not reach the reader of {} by {}", publisher->topic(),
                               number, client.topic(), text);
      }
    }
    return std::nullopt;
  }
};

using StoredRandom = StoredWorldTest<World>;

TEST_F(StoredRandom, AtQos2NothingIsLostDoubledOrOutOfOrderWhateverHappens) {
  expect_no_violation();
}

class StoredRandomNotices : public StoredRandom,
                            public testing::WithParamInterface<std::pair<const char*, Omissions>> {
};

TEST_P(StoredRandomNotices, WhatIsNotDurableWhenAPacketLeaves) {
  expect_violation(GetParam().second);
}

INSTANTIATE_TEST_SUITE_P(Omitted, StoredRandomNotices,
                         testing::Values(std::pair("Evidence", Omissions{.evidence = true}),
                                         std::pair("Publish", Omissions{.publish = true}),
                                         std::pair("Pubrel", Omissions{.pubrel = true}),
                                         std::pair("Pubcomp", Omissions{.pubcomp = true})),
                         [](const auto& instance) { return std::string(instance.param.first); });

}  // namespace
}  // namespace sluice::mqtt
