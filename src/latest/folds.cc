#include "latest/folds.h"

#include <algorithm>
#include <map>
#include <utility>

#include "log/record_batch.h"
#include "topic/topic.h"

namespace sluice::latest {
namespace {

constexpr Logger logger("latest");
constexpr std::size_t read_size = 1 << 20;
constexpr std::size_t readers_max = 4;  // partitions that are caught up with at a time
constexpr std::size_t expanded_max = 64 << 20;
constexpr std::uint64_t unsaved_bytes_max = 64 << 20;
constexpr runtime::Duration save_interval = std::chrono::seconds(10);
constexpr runtime::Duration retry_delay = std::chrono::milliseconds(100);

bool is_retained(const log::Record& record) {
  constexpr auto both = log::Record::retain | log::Record::has_packed;
  return (record.flags & both) == both && record.key_at != log::Record::none;
}

}  // namespace

Folds::Folds(Place& place, FoldSink& sink, Metrics& metrics)
    : place_(place),
      sink_(sink),
      lost_(
          metrics.counter("sluice_retained_unfolded_offsets_total",
                          "Offsets that were gone before retained messages were sought in them")) {}

Folds::~Folds() { place_.loop->cancel(save_timer_); }

Folds::Part* Folds::find(Partition partition) {
  const auto found = parts_.find(partition);
  return found == parts_.end() ? nullptr : &found->second;
}

void Folds::add(const stream::StreamInfo& stream, std::uint32_t index,
                const std::optional<Position>& position) {
  const Partition partition{stream.id, index};
  Part& added = parts_[partition];
  ++catching_up_;
  added.placed = position ? position->partitions : stream.config.partitions;
  added.has_rows = position && position->has_rows;
  added.next = added.saved = added.held = position ? position->next : Offset{0};
  place_.stream->hold(partition, added.held);
  place_.stream->fold(partition, *this, [this, partition](Result<Offset> end) {
    Part* part = find(partition);
    if (!part) return;
    if (!end) return remove(partition);
    part->end = std::max(part->end, *end);
    if (part->next >= part->end) return set_live(partition);
    to_catch_up_.push_back(partition);
    start_catching_up();
  });
}

void Folds::remove(Partition partition) {
  const auto found = parts_.find(partition);
  if (found == parts_.end()) return;
  Part part = std::move(found->second);
  parts_.erase(found);
  if (part.dirty) std::erase(dirty_, partition);
  if (!part.live) end_catching_up();
  run_waiting(part);
}

bool Folds::has_rows(Partition partition) const {
  const auto found = parts_.find(partition);
  return found != parts_.end() && found->second.has_rows;
}

bool Folds::live(Partition partition) const {
  const auto found = parts_.find(partition);
  return found != parts_.end() && found->second.live;
}

void Folds::when_live(Partition partition, Task task) {
  Part* part = find(partition);
  if (!part || part->live) return task();
  part->waiting.push_back(std::move(task));
}

void Folds::run_waiting(Part& part) {
  for (Task& task : std::exchange(part.waiting, {})) task();
}

void Folds::note_moved_row(Partition partition) {
  Part* part = find(partition);
  if (!part || std::exchange(part->has_rows, true)) return;
  put_position(partition, *part);
}

std::uint32_t Folds::placed(Partition partition) const {
  const auto found = parts_.find(partition);
  return found == parts_.end() ? 0 : found->second.placed;
}

void Folds::set_placed(Partition partition, std::uint32_t partitions) {
  Part* part = find(partition);
  if (!part || std::exchange(part->placed, partitions) == partitions) return;
  put_position(partition, *part);
}

// --- reading what was there before

void Folds::start_catching_up() {
  while (reading_ < readers_max && !to_catch_up_.empty()) {
    const Partition partition = to_catch_up_.front();
    to_catch_up_.pop_front();
    if (!find(partition)) continue;
    ++reading_;
    catch_up(partition);
  }
}

void Folds::catch_up(Partition partition) {
  const Part* part = find(partition);
  if (!part || stopped_) {
    --reading_;
    return start_catching_up();
  }
  place_.stream->read(
      partition, part->next, read_size, stream::Want::batches,
      [this, partition](const Result<stream::ReadAnswer>& answer) { on_read(partition, answer); });
}

void Folds::on_read(Partition partition, const Result<stream::ReadAnswer>& answer) {
  Part* part = find(partition);
  if (!part) return catch_up(partition);
  if (!answer) {
    if (answer.error().code == Errc::out_of_range) skip_lost(partition);
    place_.loop->run_after(retry_delay, [this, partition] { catch_up(partition); });
    return;
  }
  for (const auto& block : answer->blocks) fold(partition, *part, *block);
  // Beyond the last block there are holes only.
  const bool nothing = answer->blocks.empty() && answer->next <= part->next;
  part->next = nothing ? std::max(part->next, part->end) : std::max(part->next, answer->next);
  if (part->next < part->end) return place_.loop->post([this, partition] { catch_up(partition); });
  --reading_;
  set_live(partition);
  start_catching_up();
}

// Somebody has deleted records that were not folded yet.
void Folds::skip_lost(Partition partition) {
  place_.stream->bounds(partition, [this, partition](const Result<stream::Bounds>& bounds) {
    Part* part = find(partition);
    if (!part || !bounds || part->next >= bounds->start) return;
    lost_.add(static_cast<std::uint64_t>(bounds->start - part->next));
    logger.warn("records were deleted before retained messages were sought in them",
                {{"stream_id", partition.stream.value},
                 {"partition", partition.index},
                 {"offsets", bounds->start - part->next}});
    part->next = bounds->start;
  });
}

void Folds::set_live(Partition partition) {
  Part& part = parts_.at(partition);
  part.live = true;
  note_progress(partition, part);
  run_waiting(part);
  end_catching_up();
  sink_.on_live(partition);
}

void Folds::end_catching_up() { --catching_up_; }

// --- blocks

void Folds::on_commit(Partition partition, const std::shared_ptr<log::Block>& block) {
  Part* part = find(partition);
  if (!part || stopped_) return;
  if (!part->live) {  // it will be read
    part->end = std::max(part->end, block->until());
    return;
  }
  fold(partition, *part, *block);
}

void Folds::fold(Partition partition, Part& part, const log::Block& block) {
  if (block.until() <= part.next) return;
  const bool has_rows = block.may_have_packed() && fold_rows(partition, part, block);
  part.next = block.until();
  part.unsaved_bytes += block.bytes().size();
  if (has_rows) put_position(partition, part);
  note_progress(partition, part);
}

// True: there was a retained message.
bool Folds::fold_rows(Partition partition, Part& part, const log::Block& block) {
  // What can't be indexed is served to Kafka clients as it is, and holds nothing for MQTT.
  if (!block.index_records(expanded_max)) return false;
  if (std::ranges::none_of(block.records(), is_retained)) return false;
  const auto* stream = place_.stream->catalogue().find(partition.stream);
  if (!stream) return false;
  topic_ = place_.topics->prefix_of(*stream);
  const std::size_t key_at = topic_.size();
  const std::uint32_t slot = slot_of(partition);
  const bool keep_cleared = place_.loop->now() < keep_cleared_until_;
  for (const log::Record& record : block.records()) {
    if (!is_retained(record) || block.from() + record.offset_delta < part.next) continue;
    topic_.resize(key_at);
    topic_ += as_text(block.key(record));
    if (!topic::validate_topic_name(topic_)) continue;
    Row row{.version = block.from() + record.offset_delta,
            .timestamp = std::clamp<WallMs>(block.timestamp(record), 0, Row::timestamp_max),
            .flags = record.flags,
            .headers_count = record.headers_count,
            .headers = log::headers_of(block, record),
            .value = block.value(record)};
    if (row.cleared()) row.timestamp = place_.loop->wall_ms();  // its age counts, not the message's
    const std::string_view record_key = std::string_view(topic_).substr(key_at);
    std::optional<Partition> elsewhere;
    if (const auto home = place_.topics->partition_of(topic_); home && *home != partition)
      elsewhere = *home;
    std::string key = rows_of(partition) + to_ordered(record_key);
    if (row.cleared() && !keep_cleared && !elsewhere) {
      place_.table->put_behind(slot, std::move(key), std::nullopt);
    } else {
      place_.table->put_behind(slot, std::move(key), encode_row(row));
      part.has_rows = true;
    }
    sink_.on_row(partition, record_key, elsewhere);
  }
  return true;
}

// --- positions

void Folds::put_position(Partition partition, Part& part) {
  part.saved = part.next;
  part.unsaved_bytes = 0;
  place_.table->put_behind(
      slot_of(partition), position_key(partition),
      encode_position({.next = part.next, .partitions = part.placed, .has_rows = part.has_rows}));
}

void Folds::note_progress(Partition partition, Part& part) {
  if (part.unsaved_bytes > unsaved_bytes_max) put_position(partition, part);
  if (part.held == part.next) return;
  if (!std::exchange(part.dirty, true)) dirty_.push_back(partition);
  arm_timer();
}

void Folds::arm_timer() {
  if (save_timer_ != runtime::TimerId::none || flushing_ > 0 || dirty_.empty() || stopped_) return;
  save_timer_ = place_.loop->run_after(save_interval, [this] { save(); });
}

void Folds::save() {
  save_timer_ = runtime::TimerId::none;
  std::map<std::uint32_t, std::vector<std::pair<Partition, Offset>>> by_slot;
  for (const Partition partition : std::exchange(dirty_, {})) {
    Part& part = parts_.at(partition);
    part.dirty = false;
    if (part.saved != part.next) put_position(partition, part);
    by_slot[slot_of(partition)].emplace_back(partition, part.saved);
  }
  flushing_ += by_slot.size();
  for (auto& [slot, positions] : by_slot) flush_slot(slot, std::move(positions));
}

void Folds::flush_slot(std::uint32_t slot, std::vector<std::pair<Partition, Offset>> positions) {
  place_.table->flush(slot, [this, positions = std::move(positions)](const Result<void>& done) {
    --flushing_;
    for (const auto& [partition, position] : positions) {
      Part* part = find(partition);
      if (!part) continue;
      if (done) {
        part->held = position;
        place_.stream->hold(partition, position);
      }
      if (!stopped_) note_progress(partition, *part);
    }
    arm_timer();
  });
}

void Folds::stop() {
  stopped_ = true;
  place_.loop->cancel(std::exchange(save_timer_, runtime::TimerId::none));
  for (const Partition partition : std::exchange(dirty_, {})) {
    Part& part = parts_.at(partition);
    part.dirty = false;
    if (part.saved != part.next) put_position(partition, part);
  }
}

}  // namespace sluice::latest
