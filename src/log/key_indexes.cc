#include "log/key_indexes.h"

#include <algorithm>

#include "base/logger.h"
#include "log/segment_store.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr std::size_t answers_max = 16;
constexpr std::size_t read_step = 16 * 1024;  // takes the head of most indexes, and any block
// What an index says nothing of is read by everybody: it is kept when that is a small part.
constexpr std::uint64_t unknown_share = 8;
constexpr std::uint64_t map_node_size = 64;  // about

}  // namespace

void KeyIndexes::on_written(const SegmentWrite& write) {
  if (!enabled() || !write.keyed) return;
  Gathered& gathered = gathered_for(write);
  gather(gathered, write);
  if (write.seals) seal(write);
}

// Another segment, or another place than the next one (a write that failed is done again): what was
// gathered before does not count.
KeyIndexes::Gathered& KeyIndexes::gathered_for(const SegmentWrite& write) {
  if (const auto found = gathered_.find(write.partition); found != gathered_.end()) {
    Gathered& known = found->second;
    const bool goes_on = known.given_up || known.keys.until() == write.at;
    if (known.segment == write.segment && goes_on) return known;
    forget(write.partition);
  }
  Gathered fresh{.segment = write.segment, .keys = KeyIndexBuilder(write.at)};
  return gathered_.emplace(write.partition, std::move(fresh)).first->second;
}

void KeyIndexes::gather(Gathered& gathered, const SegmentWrite& write) {
  if (gathered.given_up) return;
  for (std::size_t i = 0; i < write.blocks.size(); ++i) {
    const Block& block = *write.blocks[i];
    if (write.placed[i]) {
      gathered.keys.add(block);
    } else {
      gathered.keys.add_unknown(block.bytes().size());
    }
  }
  const std::uint64_t memory = gathered.keys.memory() + sizeof(Gathered) + map_node_size;
  gathered_bytes_ += memory - std::exchange(gathered.memory, memory);
  while (gathered_bytes_ > memory_) give_up_largest();
}

void KeyIndexes::give_up_largest() {
  const auto largest = std::ranges::max_element(
      gathered_, {}, [](const auto& entry) { return entry.second.memory; });
  Gathered& gathered = largest->second;
  gathered_bytes_ -= gathered.memory;
  gathered = {.segment = gathered.segment, .keys = KeyIndexBuilder(), .given_up = true};
}

void KeyIndexes::seal(const SegmentWrite& write) {
  Gathered& gathered = gathered_.at(write.partition);
  const std::uint64_t size = gathered.keys.until();
  const bool is_worth_it =
      !gathered.given_up && gathered.keys.unknown_bytes() <= size / unknown_share;
  if (is_worth_it) {
    sealed_.push_back({.partition = write.partition,
                       .segment = {.base = write.segment.base,
                                   .size = size,
                                   .generation = write.segment.generation},
                       .keys = std::move(gathered.keys)});
  }
  forget(write.partition);
}

void KeyIndexes::forget(Partition partition) {
  const auto found = gathered_.find(partition);
  if (found == gathered_.end()) return;
  gathered_bytes_ -= found->second.memory;
  gathered_.erase(found);
}

std::shared_ptr<const Selection> KeyIndexes::select(Partition partition, const Segment& segment,
                                                    const KeyHintRef& hint) {
  const SegmentKey key{partition, segment.id()};
  const auto known = std::ranges::find_if(
      answers_, [&](const Answer& answer) { return answer.hint == hint && answer.segment == key; });
  if (known != answers_.end()) {
    std::rotate(answers_.begin(), known, known + 1);
    return answers_.front().selection;
  }
  auto selection = ask(key, segment, *hint);
  if (!selection) {
    if (selection.error().code == Errc::corrupt) discard(key, selection.error());
    return nullptr;
  }
  if (answers_.size() == answers_max) answers_.pop_back();
  answers_.push_front({key, hint, std::make_shared<const Selection>(std::move(*selection))});
  return answers_.front().selection;
}

Result<Selection> KeyIndexes::ask(const SegmentKey& key, const Segment& segment,
                                  const KeyHint& hint) {
  SLUICE_TRY_ASSIGN(const auto file,
                    disk_.open(key_index_path(key.partition, key.segment), OpenMode::read));
  SLUICE_TRY_ASSIGN(const std::uint64_t size, file->size());
  FileSource source(*file, size, read_step);
  SLUICE_TRY_ASSIGN(const KeyIndex index, KeyIndex::load(source, segment));
  return index.select(hint, source);
}

// As a crash leaves it, say: it is made anew when somebody asks again.
void KeyIndexes::discard(const SegmentKey& key, const Error& error) {
  const std::string path = key_index_path(key.partition, key.segment);
  logger.info("a key index is thrown away", {{"file", path}, {"error", error.text}});
  if (const auto removed = disk_.remove(path); !removed)
    logger.warn("a key index was not deleted", {{"error", removed.error().text}});
}

Result<void> KeyIndexes::remove(Partition partition, SegmentId segment) {
  std::erase_if(answers_, [&](const Answer& answer) {
    return answer.segment == SegmentKey{partition, segment};
  });
  return disk_.remove(key_index_path(partition, segment));
}

}  // namespace sluice::log
