#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include "topic/level_tree.h"

namespace sluice::topic {

// Filters with values, such as the subscribers of each: which values have a filter that covers a
// topic? Filters are valid ones (topic.h), without "$share/...". One thread at a time.
//
// match() allocates nothing but the room in `out`. insert() does not look for an equal pair: one
// inserted twice is found twice and is erased twice. erase() takes time in proportion to the values
// of its filter.
template <class Value>
  requires std::is_trivially_copyable_v<Value>
class FilterTree {
 public:
  void insert(std::string_view filter, Value value) {
    const NodeId node = tree_.insert(filter);
    if (node >= values_.size()) values_.resize(node + 1);
    values_[node].push_back(value);
    ++size_;
    ++generation_;
  }

  // False: there was no such pair.
  bool erase(std::string_view filter, Value value) {
    const auto node = tree_.find(filter);
    if (!node) return false;
    auto& values = values_[*node];
    const auto found = std::find(values.begin(), values.end(), value);
    if (found == values.end()) return false;
    *found = values.back();
    values.pop_back();
    if (values.empty()) {
      values = {};
      tree_.release(*node);
    }
    --size_;
    ++generation_;
    return true;
  }

  // Appends to `out` the values of every filter that covers the valid topic name `topic`; a value
  // that stands below several such filters comes several times. The order is the same for the same
  // history of calls.
  void match(std::string_view topic, std::vector<Value>& out) {
    for (const NodeId node : tree_.match(topic)) {
      out.insert(out.end(), values_[node].begin(), values_[node].end());
    }
  }

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }  // pairs
  // Rises with each change: what match() gave for a topic holds for as long as this stays the same.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  LevelTree tree_;
  std::vector<std::vector<Value>> values_;  // by node
  std::size_t size_ = 0;
  std::uint64_t generation_ = 0;
};

}  // namespace sluice::topic
