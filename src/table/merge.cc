#include "table/merge.h"

#include <utility>

namespace sluice::table {
namespace {

// Takes rows up to the bounds of a range.
class Filler {
 public:
  explicit Filler(const Range& range) : range_(range) {}
  [[nodiscard]] bool full() const {
    return portion.rows.size() >= range_.rows_max || bytes_ >= range_.bytes_max;
  }
  void add(Row row) {
    bytes_ += row.key.size() + row.value.size();
    portion.rows.push_back(std::move(row));
  }
  Portion portion;

 private:
  const Range& range_;
  std::size_t bytes_ = 0;
};

}  // namespace

void merge_overlay(Portion& stored, const Slot::Overlay& overlay, const Range& range) {
  // What lies beyond the store's portion belongs to the next one.
  const auto& end = stored.next ? *stored.next : range.until;
  auto above = overlay.lower_bound(range.from);
  const auto above_end = end.empty() ? overlay.end() : overlay.lower_bound(end);
  if (above == above_end || (!end.empty() && end < range.from)) return;

  Filler filler(range);
  auto below = stored.rows.begin();
  while (above != above_end || below != stored.rows.end()) {
    const bool take_above =
        above != above_end && (below == stored.rows.end() || above->first <= below->key);
    const auto& key = take_above ? above->first : below->key;
    if (filler.full()) {
      filler.portion.next = key;
      stored = std::move(filler.portion);
      return;
    }
    if (!take_above) {
      filler.add(std::move(*below++));
      continue;
    }
    if (below != stored.rows.end() && below->key == key) ++below;
    if (above->second.value) filler.add({above->first, *above->second.value});
    ++above;
  }
  stored.rows = std::move(filler.portion.rows);
}

}  // namespace sluice::table
