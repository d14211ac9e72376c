#include <algorithm>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/hash.h"
#include "hub/subscriptions.h"
#include "suite.h"
#include "topic/filter_tree.h"

namespace sluice::micro {
namespace {

constexpr std::size_t topics_count = 64;

std::string machine(std::size_t number) {
  return "site/plant-" + std::to_string(number % 50) + "/machine-" + std::to_string(number);
}

// Topics that one filter each covers, spread over all of them.
std::vector<std::string> topics_among(std::size_t filters) {
  std::vector<std::string> topics;
  for (std::size_t i = 0; i < topics_count; ++i)
    topics.push_back(machine(i * filters / topics_count) + "/temperature");
  return topics;
}

// Each tree takes a hash seed from the operating system: a small one takes its luck with it, so
// there are many.
void match_in_tree(Measure& measure, std::size_t filters) {
  std::vector<topic::FilterTree<std::uint32_t>> trees(
      std::max<std::size_t>(topics_count / filters, 1));
  for (auto& tree : trees)
    for (std::size_t i = 0; i < filters; ++i)
      tree.insert(machine(i) + "/+", static_cast<std::uint32_t>(i));
  const auto topics = topics_among(filters);
  std::vector<std::uint32_t> found;
  measure.run(topics_count, [&] {
    found.clear();
    for (std::size_t i = 0; i < topics_count; ++i) trees[i % trees.size()].match(topics[i], found);
    SLUICE_ASSERT(found.size() == topics_count);
  });
}

// As the hub asks for each record of a block.
void match_cached(Measure& measure, std::size_t filters) {
  hub::Subscriptions subscriptions;
  for (std::size_t i = 0; i < filters; ++i)
    subscriptions.set_filter(subscriptions.add({}), machine(i) + "/+", {});
  const auto topics = topics_among(filters);
  std::vector<std::uint32_t> hashes;
  for (const std::string& topic : topics)
    hashes.push_back(static_cast<std::uint32_t>(hash64(as_bytes(topic))));
  const hub::Subscriptions::Scope scope{.prefix = "", .stream = 1, .wildcards = true};
  measure.run(topics_count, [&] {
    std::size_t targets = 0;
    for (std::size_t i = 0; i < topics_count; ++i)
      targets += subscriptions.match(scope, as_bytes(topics[i]), hashes[i]).targets.size();
    subscriptions.forget();
    SLUICE_ASSERT(targets == topics_count);
  });
}

}  // namespace

void add_match(Suite& suite) {
  suite.add("match: tree of 1 filter", [](Measure& m) { match_in_tree(m, 1); });
  suite.add("match: tree of 1,000 filters", [](Measure& m) { match_in_tree(m, 1'000); });
  suite.add("match: tree of 100,000 filters", [](Measure& m) { match_in_tree(m, 100'000); });
  suite.add("match: cached, 1,000 filters", [](Measure& m) { match_cached(m, 1'000); });
}

}  // namespace sluice::micro
