#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace sluice {

// One page of a list of things with ids (page_query.h).
template <class T>
struct Page {
  std::vector<T> items{};  // the lowest ids, in order; at most the limit
  bool has_more = false;
};

// Of pages of several shards, each with the lowest ids of its own; `id` is the member that has
// them.
template <class T, class Id>
Page<T> merge_pages(std::vector<Page<T>> pages, Id T::* id, std::size_t limit) {
  Page<T> merged;
  for (Page<T>& page : pages) {
    std::ranges::move(page.items, std::back_inserter(merged.items));
    merged.has_more |= page.has_more;
  }
  std::ranges::sort(merged.items, {}, id);
  if (merged.items.size() > limit) {
    merged.items.resize(limit);
    merged.has_more = true;
  }
  return merged;
}

}  // namespace sluice
