#include "base/hash.h"
#include "base/logger.h"
#include "kafka/coordinator.h"

namespace sluice::kafka {

namespace {
constexpr Logger logger("kafka");
}

void Coordinator::open_table() {
  table_.open([this](const Result<void>& opened) {
    if (!opened) return fail_loading(opened.error());
    load(context_.shard.value, {});
  });
}

// The slots of this shard one after another, each in portions.
void Coordinator::load(std::uint32_t slot, std::string from) {
  while (slot < slot_count && from.empty() && table_.empty(slot)) slot += context_.shards;
  if (slot >= slot_count) return finish_loading();
  table_.scan(slot, {.from = std::move(from), .until = {}},
              [this, slot](Result<table::Portion> portion) {
                if (phase_ != Phase::loading) return;
                if (!portion) return fail_loading(portion.error());
                load_rows(portion->rows);
                if (portion->next) return load(slot, std::move(*portion->next));
                load(slot + context_.shards, {});
              });
}

void Coordinator::load_rows(const std::vector<table::Row>& rows) {
  for (const table::Row& row : rows) {
    if (const auto loaded = load_row(row); !loaded)
      logger.error("a row of __groups is passed over", {{"reason", loaded.error().text}});
  }
}

Result<void> Coordinator::load_row(const table::Row& row) {
  SLUICE_TRY_ASSIGN(const GroupRowKey key, decode_group_row_key(row.key));
  // A group's own row comes before those of its offsets, which it need not have.
  if (key.topic.empty()) {
    SLUICE_TRY_ASSIGN(GroupRow group, decode_group_row(row.value));
    groups_.try_emplace(key.group, Group(options_, ids_, std::move(group), clock()), ++lives_);
    return {};
  }
  SLUICE_TRY_ASSIGN(OffsetRow offset, decode_offset_row(row.value));
  const auto group = groups_.try_emplace(key.group, Group(options_, ids_), ++lives_).first;
  group->second.offsets.add(key.topic, key.partition, std::move(offset));
  return {};
}

void Coordinator::finish_loading() {
  phase_ = Phase::open;
  groups_metric_.set(static_cast<std::int64_t>(groups_.size()));
  for (auto group = groups_.begin(); group != groups_.end(); ++group) {
    count(group->second);
    arm(group);
    erase_offsets_of_removed_streams(group);
  }
  expire_later();
}

// Of streams whose removal was not seen here before the last stop.
void Coordinator::erase_offsets_of_removed_streams(Groups::iterator group) {
  std::vector<std::string> gone;
  for (const auto& [topic, partitions] : group->second.offsets.topics()) {
    if (context_.stream->catalogue().find(topic) == nullptr) gone.push_back(topic);
  }
  for (const std::string& topic : gone) erase_topic(group, topic);
}

void Coordinator::fail_loading(const Error& error) {
  phase_ = Phase::failed;
  if (error.code == Errc::closed) return;  // the hub stops
  logger.error("consumer groups are not available", {{"reason", error.text}});
}

}  // namespace sluice::kafka
