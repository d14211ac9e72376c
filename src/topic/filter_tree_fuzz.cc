#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "topic/filter_tree.h"
#include "topic/topic.h"

// The input is a script, a step per line: "+filter" inserts, "-filter" erases, "?topic" matches.
// The law: the tree finds what going through all filters by matches() finds.
namespace {

using namespace sluice::topic;

using Pair = std::pair<std::string, std::uint32_t>;

void require(bool holds) {
  if (!holds) std::abort();
}

void match(FilterTree<std::uint32_t>& tree, const std::vector<Pair>& pairs,
           std::string_view topic) {
  std::vector<std::uint32_t> expected;
  for (const auto& [filter, value] : pairs) {
    if (matches(filter, topic)) expected.push_back(value);
  }
  std::vector<std::uint32_t> found;
  tree.match(topic, found);
  std::ranges::sort(found);
  require(found == expected);
}

void erase(FilterTree<std::uint32_t>& tree, std::vector<Pair>& pairs, std::string_view filter) {
  const auto pair = std::ranges::find(pairs, filter, &Pair::first);
  if (pair == pairs.end()) return require(!tree.erase(filter, 0));
  require(tree.erase(filter, pair->second));
  pairs.erase(pair);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view script(reinterpret_cast<const char*>(data), size);
  FilterTree<std::uint32_t> tree;
  std::vector<Pair> pairs;  // values rise
  std::uint32_t next_value = 0;
  while (!script.empty()) {
    const std::string_view line = script.substr(0, script.find('\n'));
    script.remove_prefix(std::min(script.size(), line.size() + 1));
    if (line.empty()) continue;
    const std::string_view text = line.substr(1);
    if (validate_topic_name(text)) require(validate_filter(text).has_value());
    if (line[0] == '+' && validate_filter(text)) {
      tree.insert(text, next_value);
      pairs.emplace_back(text, next_value++);
    }
    if (line[0] == '-' && validate_filter(text)) erase(tree, pairs, text);
    if (line[0] == '?' && validate_topic_name(text)) match(tree, pairs, text);
    require(tree.size() == pairs.size());
  }
  return 0;
}
