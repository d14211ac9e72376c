#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kafka/group_rows.h"

namespace sluice::kafka {

// What one group has committed: per partition the newest offset that is durable. A commit under way
// is known too, so that whoever clears the offsets finds its row.
class GroupOffsets {
 public:
  struct Entry {
    std::optional<OffsetRow> durable;  // none: the first commit is under way
    std::uint32_t under_way = 0;
    std::uint64_t life = 0;  // tells this entry from one that was erased
  };
  using Partitions = std::map<std::int32_t, Entry>;

  // Null: nothing was committed, or is being committed, for that partition.
  [[nodiscard]] Entry* find(std::string_view topic, std::int32_t partition) {
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return nullptr;
    const auto entry = found->second.find(partition);
    return entry == found->second.end() ? nullptr : &entry->second;
  }
  // A commit begins; returns the life of the entry.
  std::uint64_t begin(std::string_view topic, std::int32_t partition) {
    Entry& entry = topics_[std::string(topic)][partition];
    if (entry.life == 0) {
      entry.life = ++lives_;
      ++count_;
    }
    ++entry.under_way;
    return entry.life;
  }
  // It is durable, or has failed (no row). Commits of a partition end in the order in which they
  // began. Nothing happens when the entry was erased meanwhile.
  void end(std::string_view topic, std::int32_t partition, std::uint64_t life,
           std::optional<OffsetRow> row) {
    Entry* entry = find(topic, partition);
    if (entry == nullptr || entry->life != life) return;
    --entry->under_way;
    if (row) set(*entry, std::move(*row));
    if (!entry->durable && entry->under_way == 0) erase(topic, partition);
  }
  void add(std::string_view topic, std::int32_t partition, OffsetRow row) {
    const auto life = begin(topic, partition);
    end(topic, partition, life, std::move(row));
  }
  void erase(std::string_view topic, std::int32_t partition) {
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return;
    const auto entry = found->second.find(partition);
    if (entry == found->second.end()) return;
    set(entry->second, {});
    --count_;
    found->second.erase(entry);
    if (found->second.empty()) topics_.erase(found);
  }

  // Topics and partitions whose last commit was at `oldest` or before; none is under way.
  [[nodiscard]] std::vector<std::pair<std::string, std::int32_t>> committed_until(
      WallMs oldest) const {
    std::vector<std::pair<std::string, std::int32_t>> found;
    for (const auto& [topic, partitions] : topics_) {
      for (const auto& [partition, entry] : partitions) {
        if (entry.under_way == 0 && entry.durable->committed_at <= oldest)
          found.emplace_back(topic, partition);
      }
    }
    return found;
  }

  [[nodiscard]] bool empty() const { return topics_.empty(); }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::size_t bytes() const { return count_ * bytes_per_entry + metadata_; }
  [[nodiscard]] const std::map<std::string, Partitions, std::less<>>& topics() const {
    return topics_;
  }

 private:
  static constexpr std::size_t bytes_per_entry = 256;

  void set(Entry& entry, OffsetRow row) {
    if (entry.durable) metadata_ -= entry.durable->metadata.size();
    metadata_ += row.metadata.size();
    entry.durable = std::move(row);
  }

  std::map<std::string, Partitions, std::less<>> topics_;
  std::uint64_t lives_ = 0;
  std::size_t count_ = 0;
  std::size_t metadata_ = 0;  // bytes
};

}  // namespace sluice::kafka
