#include "log/log_impl.h"

namespace sluice::log {
namespace {

constexpr Logger logger("log");

constexpr runtime::Duration probe_interval = std::chrono::seconds(1);
constexpr std::uint64_t room_min =
    1024 * 1024;  // less free is still full: no trickle of half-written batches

}  // namespace

Log::Health Log::Impl::health() const {
  if (failure_) return {false, failure_->text};
  if (disk_full_) return {false, disk_full_->text};
  return {};
}

void Log::Impl::on_segments_failed(const Error& error) {
  if (error.code == Errc::disk_full) {
    go_disk_full(error);
  } else {
    go_read_only(error);
  }
  tell_room();
  continue_stop();
}

void Log::Impl::on_checkpoint_failed(const Error& error, bool in_sync) {
  if (error.code == Errc::disk_full && !in_sync) {
    go_disk_full(error);
  } else {
    go_read_only(error);
  }
  tell_room();
  continue_stop();
}

// Nobody can say what reached the disk: only a restart, which reads it again, can.
void Log::Impl::go_read_only(const Error& error) {
  if (failure_) return;
  failure_ = error;
  metered_.read_only.set(1);
  logger.error("log is read-only until a restart", {{"error", error.text}});
}

void Log::Impl::go_disk_full(const Error& error) {
  if (disk_full_) return;
  disk_full_ = Error{Errc::disk_full, error.text};
  metered_.disk_full.set(1);
  logger.error("disk full: appends are refused", {{"error", error.text}});
  probe_room();
}

void Log::Impl::probe_room() {
  probe_timer_ = loop_.run_after(probe_interval, [this] {
    helper_.run([&disk = disk_] { return disk.free_bytes(); },
                [this](const Result<std::uint64_t>& free) {
                  if (!free || *free < room_min) return probe_room();
                  disk_full_.reset();
                  metered_.disk_full.set(0);
                  logger.info("disk has room again: appends are accepted");
                  journal_.resume();
                  for (auto& partition : std::exchange(undropped_, {}))
                    journal_drop(std::move(partition));
                  write_behind_.resume();
                  on_journal_wants_checkpoint();
                  tell_room();
                });
  });
}

void Log::Impl::stop(Done<void> done) {
  stopping_ = true;
  stopped_ = std::move(done);
  loop_.cancel(checkpoint_timer_);
  compactor_.stop();
  key_indexer_.stop();
  journal_.flush();
  continue_stop();
}

// In steps, whenever something has come to its end: the journal first, then a checkpoint that
// covers all of it.
void Log::Impl::continue_stop() {
  if (!stopped_) return;
  const auto& trouble = failure_ ? failure_ : disk_full_;
  if (!trouble) {
    if (!journal_.idle() || checkpointer_.running()) return;
    if (!final_checkpoint_) {
      final_checkpoint_ = true;
      return checkpointer_.start(true);
    }
  }
  Result<void> result;
  if (trouble) result = std::unexpected(*trouble);
  // Not from here: the log may be destroyed in it.
  loop_.post([done = std::exchange(stopped_, {}), result = std::move(result)]() mutable {
    done(std::move(result));
  });
}

}  // namespace sluice::log
