// Clients with stored sessions read what others publish by replays, each topic by one, and one by a
// filter. Whatever happens, at QoS 2 each replay gives each message once, from the first on.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mqtt/stored_world_test.h"

namespace sluice::mqtt {
namespace {

// What is read of a topic: "t/<its place here>".
constexpr std::array<const char*, 4> readers = {"$stream/mqtt/t/0", "$stream/mqtt/+/1",
                                                "$stream/mqtt/t/2/#", "t/3"};
constexpr std::size_t replays = 3;  // of them

class World : public StoredWorld {
 public:
  World(std::uint64_t seed, Omissions omit) : StoredWorld(seed, omit, {.clean_session = true}) {}

 private:
  using Numbers = std::vector<int>;

  // One that stands goes on; of one whose SUBACK or UNSUBACK was never seen nobody knows.
  void subscribe(ModelClient& client) override {
    const std::size_t reader = random_.below(readers.size());
    if (!client.may_ask()) return;
    if (!client.filters().contains(readers[reader])) ++begun_[{&client, reader}];
    client.subscribe(readers[reader]);
  }
  void unsubscribe(ModelClient& client) override {
    client.unsubscribe(readers[random_.below(readers.size())]);
  }

  [[nodiscard]] std::optional<std::string> violation() const override {
    for (const ModelClient& client : clients_) {
      for (std::size_t reader = 0; reader < readers.size(); ++reader)
        if (auto wrong = find_wrong(client, reader))
          return fmt::format("{} to the reader that publishes {}", *wrong, client.topic());
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<std::string> find_wrong(const ModelClient& client,
                                                      std::size_t reader) const {
    const ModelClient& publisher = *publishers_[reader];
    const auto found = client.received().find(publisher.topic());
    const std::vector<Numbers> runs =
        runs_in(found == client.received().end() ? Numbers{} : found->second);
    const auto begun = begun_.find({&client, reader});
    const std::size_t allowed = begun == begun_.end() ? 0 : begun->second;
    const bool is_replay = reader < replays;
    if (runs.size() > (is_replay ? allowed : 1))
      return fmt::format("{} began {} times, asked for {} times", publisher.topic(), runs.size(),
                         allowed);
    if (is_replay)
      for (const Numbers& run : runs)
        if (auto lost = find_lost(publisher, run, 0, run.back())) return lost;
    const auto filter = client.filters().find(readers[reader]);
    if (filter == client.filters().end() || !filter->second.granted) return std::nullopt;
    return find_lost(publisher, runs.empty() ? Numbers{} : runs.back(),
                     is_replay ? 0 : filter->second.from.at(publisher.topic()),
                     publisher.published());
  }

  // Each begins again at a lower number.
  static std::vector<Numbers> runs_in(const Numbers& received) {
    std::vector<Numbers> runs;
    for (const int number : received) {
      if (runs.empty() || number <= runs.back().back()) runs.emplace_back();
      runs.back().push_back(number);
    }
    return runs;
  }

  static std::optional<std::string> find_lost(const ModelClient& publisher, const Numbers& run,
                                              int from, int until) {
    for (int number = from; number < until; ++number)
      if (publisher.is_certain(number) && std::ranges::find(run, number) == run.end())
        return fmt::format("{} {} is lost", publisher.topic(), number);
    return std::nullopt;
  }

  // How often a replay may have begun, at most.
  std::map<std::pair<const ModelClient*, std::size_t>, std::size_t> begun_;
};

using ReplayStoredRandom = StoredWorldTest<World>;

TEST_F(ReplayStoredRandom, AtQos2EachMessageComesOnceFromTheFirstOnWhateverHappens) {
  expect_no_violation();
}

TEST_F(ReplayStoredRandom, NoticesThatAPublishLeavesBeforeItIsDurableThatItDoes) {
  expect_violation({.publish = true});
}

}  // namespace
}  // namespace sluice::mqtt
