#include <algorithm>
#include <charconv>

#include "base/logger.h"
#include "log/checkpointer.h"
#include "log/journal.h"
#include "log/journal_reader.h"
#include "log/recovery_state.h"
#include "log/segment_plan.h"
#include "log/segment_store.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr std::uint64_t refill_step = 16 * 1024 * 1024;
constexpr std::uint64_t checkpoint_size_max = std::uint64_t{4} << 30;

std::optional<std::uint64_t> number_of(std::string_view name, int base) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number, base);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

// Nothing when there is no such file.
Result<std::optional<DecodedCheckpoint>> read_checkpoint(Disk& disk, const std::string& path) {
  SLUICE_TRY_ASSIGN(const bool exists, disk.exists(path));
  if (!exists) return std::nullopt;
  SLUICE_TRY_ASSIGN(const Buffer bytes, read_file(disk, path, checkpoint_size_max));
  auto decoded = decode_checkpoint(bytes);
  if (!decoded) return std::unexpected(decoded.error().context(path));
  return std::move(*decoded);
}

// One recovery: reads what the last run left, in four steps, and leaves it in `state_`.
class Recoverer final : public JournalVisitor {
 public:
  Recoverer(Disk& disk, const Options& options, std::uint32_t shards, RecoveredState& state)
      : disk_(disk),
        options_(options),
        shards_(shards),
        state_(state),
        store_(disk, {.open_files_max = options.open_files_max, .reads = {}}) {}

  Result<void> run() {
    SLUICE_TRY(make_dirs());
    SLUICE_TRY(load_checkpoints());
    SLUICE_TRY(replay_journals());
    settle_offsets();
    SLUICE_TRY(commit());
    return clean_up();
  }

 private:
  Result<void> make_dirs();
  Result<void> load_checkpoints();
  Result<void> load_shard(const std::string& name, std::uint64_t run);
  Result<void> replay_journals();
  Result<void> refill();
  void settle_offsets();
  [[nodiscard]] bool stopped_cleanly(Partition partition) const;
  Result<void> commit();
  Result<void> clean_up();
  Result<void> remove_stray_streams();

  Result<void> on_batch(const JournalItem& item, Buffer bytes, WallMs written_at) override;
  void on_reserve(const JournalItem& item) override;
  void on_drop(const JournalItem& item) override;
  void on_start(const JournalItem& item) override;
  PartitionState& state_of(Partition partition, Offset start);

  Disk& disk_;
  const Options& options_;
  std::uint32_t shards_;
  RecoveredState& state_;
  SegmentStore store_;
  std::uint64_t last_run_ = 0;
  std::string last_boot_;
  std::map<std::uint32_t, Checkpoint> last_shards_;  // of the last run, by shard
  std::map<Partition, std::vector<BlockRef>> unwritten_;
  std::uint64_t unwritten_bytes_ = 0;
  WallMs last_written_at_ = 0;  // of the journal entry that was read last
  std::map<Partition, bool> tidied_;
};

Result<void> Recoverer::make_dirs() {
  SLUICE_TRY(disk_.make_dirs("checkpoint"));
  SLUICE_TRY(disk_.make_dirs("streams"));
  for (std::uint32_t shard = 0; shard < shards_; ++shard)
    SLUICE_TRY(disk_.make_dirs(journal_dir(shard)));
  SLUICE_TRY(disk_.sync_dir("journal"));
  // A killed process may have left a checkpoint whose name is not durable yet. It must not go back
  // to the one before once files that only that one names have been deleted.
  SLUICE_TRY(disk_.sync_dir("checkpoint"));
  return disk_.sync_dir("");
}

Result<void> Recoverer::load_checkpoints() {
  SLUICE_TRY_ASSIGN(auto base, read_checkpoint(disk_, recovered_path));
  if (!base) {
    SLUICE_TRY_ASSIGN(const auto streams, disk_.list("streams"));
    if (streams.empty()) return {};
    return fail(Errc::corrupt, "{} is missing, but there are streams: restore it from a backup",
                recovered_path);
  }
  last_run_ = base->checkpoint.run;
  last_boot_ = base->checkpoint.boot_id;
  for (PartitionState& partition : base->partitions) {
    const Partition id = partition.id;
    state_.partitions[id] = std::move(partition);
  }
  SLUICE_TRY_ASSIGN(const auto names, disk_.list("checkpoint"));
  for (const std::string& name : names) SLUICE_TRY(load_shard(name, last_run_));
  return {};
}

// A shard's checkpoint speaks for all partitions that the shard owned in its run.
Result<void> Recoverer::load_shard(const std::string& name, std::uint64_t run) {
  if (!number_of(name, 10)) return {};
  SLUICE_TRY_ASSIGN(auto decoded, read_checkpoint(disk_, "checkpoint/" + name));
  if (!decoded) return {};
  const Checkpoint& checkpoint = decoded->checkpoint;
  if (checkpoint.run != run) return {};
  last_shards_[checkpoint.shard] = checkpoint;
  std::erase_if(state_.partitions, [&](const auto& entry) {
    return Recovery::owner(entry.first, checkpoint.shards).value == checkpoint.shard;
  });
  for (PartitionState& partition : decoded->partitions) {
    const Partition id = partition.id;
    state_.partitions[id] = std::move(partition);
  }
  return {};
}

Result<void> Recoverer::replay_journals() {
  SLUICE_TRY_ASSIGN(const auto names, disk_.list("journal"));
  for (const std::string& name : names) {
    const auto shard = number_of(name, 10);
    if (!shard || last_run_ == 0) continue;
    const Checkpoint& last = last_shards_[static_cast<std::uint32_t>(*shard)];
    if (last.clean) continue;
    JournalReader reader(disk_, static_cast<std::uint32_t>(*shard), last_run_);
    SLUICE_TRY(reader.read(last.position, *this));
    state_.damage.places += reader.damage().places;
    state_.damage.bytes += reader.damage().bytes;
  }
  SLUICE_TRY(refill());
  return store_.sync();
}

PartitionState& Recoverer::state_of(Partition partition, Offset start) {
  auto [found, added] = state_.partitions.try_emplace(partition);
  if (added) {
    found->second.id = partition;
    found->second.start = found->second.end = start;
  }
  return found->second;
}

Result<void> Recoverer::on_batch(const JournalItem& item, Buffer bytes, WallMs written_at) {
  PartitionState& state = state_of(item.partition, item.offset);
  if (item.offset < state.end) return {};  // in its segment already
  last_written_at_ = written_at;
  auto block = std::make_shared<const Block>(std::move(bytes));
  if (const auto batch = ProducerBatch::of(block->bytes()); batch.idempotent()) {
    if (!state.producers) state.producers = std::make_unique<ProducerTable>();
    state.producers->add(batch, item.offset, written_at);
  }
  state.end = block->until();
  unwritten_[item.partition].push_back(std::move(block));
  unwritten_bytes_ += item.size;
  return unwritten_bytes_ < refill_step ? Result<void>{} : refill();
}

void Recoverer::on_reserve(const JournalItem& item) {
  PartitionState& state = state_of(item.partition, Offset{});
  state.reserved = std::max(state.reserved, item.offset);
}

void Recoverer::on_drop(const JournalItem& item) {
  state_.partitions.erase(item.partition);
  unwritten_.erase(item.partition);
}

void Recoverer::on_start(const JournalItem& item) {
  PartitionState& state = state_of(item.partition, item.offset);
  state.start = std::max(state.start, item.offset);
}

Result<void> Recoverer::refill() {
  for (auto& [id, blocks] : unwritten_) {
    PartitionState& state = state_.partitions[id];
    const SegmentPlan plan{.segment_size = options_.segment_size,
                           .tidy = tidied_.try_emplace(id, true).second};
    for (const SegmentWrite& write : plan_writes(state, blocks, plan)) {
      SLUICE_TRY(store_.write(write));
      apply_write(state, write, last_written_at_);
    }
  }
  unwritten_.clear();
  unwritten_bytes_ = 0;
  return {};
}

// Offsets that may have been seen and are lost are not given again.
void Recoverer::settle_offsets() {
  const bool may_have_lost = last_boot_ != disk_.boot_id() || state_.damage.places > 0;
  for (auto& [id, state] : state_.partitions) {
    if (may_have_lost && !stopped_cleanly(id)) state.end = std::max(state.end, state.reserved);
    if (options_.durability == Durability::disk) state.reserved = {};
    // What was deleted may lie beyond what is left after damage.
    state.end = std::max(state.end, state.start);
  }
}

bool Recoverer::stopped_cleanly(Partition partition) const {
  return std::any_of(last_shards_.begin(), last_shards_.end(), [partition](const auto& entry) {
    const Checkpoint& last = entry.second;
    return last.clean && Recovery::owner(partition, last.shards).value == last.shard;
  });
}

// The one moment at which the last run's checkpoints and journals stop to count.
Result<void> Recoverer::commit() {
  state_.origin = {.run = last_run_ + 1, .shards = 1, .boot_id = disk_.boot_id(), .position = {}};
  CheckpointEncoder encoder(state_.origin);
  for (const auto& [id, state] : state_.partitions) encoder.add(state, state.end);
  SLUICE_TRY(replace_file(disk_, recovered_path, encoder.finish()));
  state_.origin.shards = shards_;
  return {};
}

Result<void> Recoverer::clean_up() {
  SLUICE_TRY_ASSIGN(const auto checkpoints, disk_.list("checkpoint"));
  for (const std::string& name : checkpoints)
    if (name != "recovered") SLUICE_TRY(disk_.remove("checkpoint/" + name));
  SLUICE_TRY_ASSIGN(const auto journals, disk_.list("journal"));
  for (const std::string& name : journals) {
    const auto shard = number_of(name, 10);
    if (!shard || *shard >= shards_) {
      SLUICE_TRY(disk_.remove_all("journal/" + name));
      continue;
    }
    SLUICE_TRY_ASSIGN(const auto files, disk_.list("journal/" + name));
    for (const std::string& file : files) {
      const auto number = number_of(file, 10);
      if (!number || *number >= options_.journal_files)
        SLUICE_TRY(disk_.remove("journal/" + name + "/" + file));
    }
  }
  return remove_stray_streams();
}

// What was dropped, and what no checkpoint came to know.
Result<void> Recoverer::remove_stray_streams() {
  SLUICE_TRY_ASSIGN(const auto streams, disk_.list("streams"));
  for (const std::string& stream : streams) {
    const auto id = number_of(stream, 16);
    SLUICE_TRY_ASSIGN(const auto partitions, disk_.list("streams/" + stream));
    std::size_t kept = 0;
    for (const std::string& partition : partitions) {
      const auto index = number_of(partition, 10);
      if (id && index && state_.partitions.contains({{*id}, static_cast<std::uint32_t>(*index)})) {
        ++kept;
      } else {
        SLUICE_TRY(disk_.remove_all("streams/" + stream + "/" + partition));
      }
    }
    if (kept == 0) SLUICE_TRY(disk_.remove_all("streams/" + stream));
  }
  return {};
}

}  // namespace

Recovery::Recovery() : state_(std::make_unique<RecoveredState>()) {}
Recovery::~Recovery() = default;

ShardId Recovery::owner(Partition partition, std::uint32_t shards) {
  return shard_of_slot(slot_of(partition), shards);
}

Result<std::unique_ptr<Recovery>> Recovery::run(Disk& disk, const Options& options,
                                                std::uint32_t shards) {
  std::unique_ptr<Recovery> recovery(new Recovery());
  recovery->state_->disk = &disk;
  recovery->state_->options = options;
  SLUICE_TRY(Recoverer(disk, options, shards, *recovery->state_).run());
  return recovery;
}

std::vector<Partition> Recovery::partitions() const {
  std::vector<Partition> ids;
  for (const auto& [id, state] : state_->partitions) ids.push_back(id);
  return ids;
}

Result<std::vector<BlockRef>> Recovery::read_all(Partition partition) {
  const auto found = state_->partitions.find(partition);
  if (found == state_->partitions.end())
    return fail(Errc::not_found, "no partition {} of stream {:x}", partition.index,
                partition.stream.value);
  const PartitionState& state = found->second;
  SegmentStore store(*state_->disk,
                     {.open_files_max = state_->options.open_files_max, .reads = {}});
  const SegmentRange range{partition, state.segments, state.end, true};
  SLUICE_TRY_ASSIGN(SegmentRead read, store.read(range, state.start, SIZE_MAX));
  if (read.damaged_places > 0)
    logger.error("damaged batches skipped",
                 {{"partition", partition_dir(partition)}, {"offsets", read.skipped}});
  return std::move(read.blocks);
}

Recovery::Damage Recovery::damage() const { return state_->damage; }

}  // namespace sluice::log
