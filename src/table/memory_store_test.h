#pragma once

#include <map>
#include <string>
#include <utility>

#include "table/store.h"

namespace sluice::table {

// A store in memory, for one thread, with what a crash does to one: crash() forgets all writes
// since the last flush(), rows and fold offsets together.
class MemoryStore final : public Store {
 public:
  Result<KeptSlot> kept(std::string_view table, std::uint32_t slot) override {
    SLUICE_TRY(check());
    const auto& part = now_[{std::string(table), slot}];
    return KeptSlot{part.fold, part.rows.empty()};
  }

  Result<void> write(std::string_view table, std::span<const SlotChange> changes) override {
    SLUICE_TRY(check());
    for (const auto& change : changes) {
      auto& part = now_[{std::string(table), change.slot}];
      if (change.clear) part.rows.clear();
      for (const auto& row : change.rows) {
        if (row.value) {
          part.rows.insert_or_assign(std::string(row.key),
                                     Buffer(row.value->begin(), row.value->end()));
        } else {
          part.rows.erase(std::string(row.key));
        }
      }
      part.fold = change.fold;
    }
    ++writes;
    return {};
  }

  Result<std::optional<Buffer>> get(std::string_view table, std::uint32_t slot,
                                    std::string_view key) override {
    SLUICE_TRY(check());
    const auto& rows = now_[{std::string(table), slot}].rows;
    const auto found = rows.find(key);
    if (found == rows.end()) return std::nullopt;
    return found->second;
  }

  Result<Portion> scan(std::string_view table, std::uint32_t slot, const Range& range) override {
    SLUICE_TRY(check());
    const auto& rows = now_[{std::string(table), slot}].rows;
    Portion portion;
    std::size_t bytes = 0;
    for (auto at = rows.lower_bound(range.from); at != rows.end(); ++at) {
      if (!range.until.empty() && at->first >= range.until) break;
      if (portion.rows.size() >= range.rows_max || bytes >= range.bytes_max) {
        portion.next = at->first;
        break;
      }
      bytes += at->first.size() + at->second.size();
      portion.rows.push_back({at->first, at->second});
    }
    return portion;
  }

  Result<std::optional<FoldState>> persisted(std::string_view table, std::uint32_t slot) override {
    SLUICE_TRY(check());
    return durable_[{std::string(table), slot}].fold;
  }

  Result<void> flush() override {
    SLUICE_TRY(check());
    durable_ = now_;
    return {};
  }

  void crash() { now_ = durable_; }
  // The next calls answer Errc::io.
  void fail_next(int calls) { failing_ = calls; }

  int writes = 0;

 private:
  struct Part {
    std::map<std::string, Buffer, std::less<>> rows;
    std::optional<FoldState> fold;
  };
  using Parts = std::map<std::pair<std::string, std::uint32_t>, Part>;

  Result<void> check() {
    if (failing_ == 0) return {};
    --failing_;
    return fail(Errc::io, "the store fails as it was told");
  }

  Parts now_;
  Parts durable_;
  int failing_ = 0;
};

}  // namespace sluice::table
