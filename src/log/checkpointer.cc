#include "log/checkpointer.h"

#include "base/logger.h"

namespace sluice::log {
namespace {
constexpr Logger logger("log");
}

std::string checkpoint_path(std::uint32_t shard) { return fmt::format("checkpoint/{}", shard); }

void Checkpointer::start(bool clean) {
  if (running_) return;
  running_ = true;
  Checkpoint checkpoint = origin_;
  checkpoint.clean = clean;
  // What was done before this position is visible, so it is written below.
  checkpoint.position = journal_.position();
  write_behind_.write_all([this, checkpoint] { on_written(checkpoint); });
}

// The states are taken now: what has been written meanwhile is in the segments and, harmlessly, in
// the journal too.
void Checkpointer::on_written(const Checkpoint& checkpoint) {
  CheckpointEncoder encoder(checkpoint);
  for (const auto& [id, partition] : partitions_)
    if (partition->written_until.value > 0 || partition->state.reserved.value > 0)
      encoder.add(partition->state, partition->written_until);
  unnamed_ = std::exchange(doomed_, {});
  helper_.run([store = store_] { return store->sync(); },
              [this, checkpoint, bytes = encoder.finish()](const Result<void>& synced) mutable {
                if (!synced) return failed(synced.error(), true);
                replace(checkpoint, std::move(bytes));
              });
}

void Checkpointer::replace(const Checkpoint& checkpoint, Buffer bytes) {
  helper_.run([&disk = disk_, path = checkpoint_path(origin_.shard),
               bytes = std::move(bytes)] { return replace_file(disk, path, bytes); },
              [this, position = checkpoint.position](const Result<void>& replaced) {
                if (!replaced) return failed(replaced.error(), false);
                delete_doomed();
                running_ = false;
                owner_.on_checkpoint(position);
              });
}

void Checkpointer::delete_doomed() {
  if (unnamed_.empty()) return;
  helper_.run(
      [store = store_, files = std::exchange(unnamed_, {})]() -> Result<void> {
        for (const auto& [partition, segment] : files)
          SLUICE_TRY(store->remove(partition, segment));
        return {};
      },
      [](const Result<void>& removed) {
        if (!removed) logger.warn("old segments not deleted", {{"error", removed.error().text}});
      });
}

void Checkpointer::failed(const Error& error, bool in_sync) {
  std::move(unnamed_.begin(), unnamed_.end(), std::back_inserter(doomed_));
  unnamed_.clear();
  running_ = false;
  owner_.on_checkpoint_failed(error, in_sync);
}

}  // namespace sluice::log
