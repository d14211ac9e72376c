#include "log/write_behind.h"

#include <algorithm>
#include <utility>

#include "log/segment_plan.h"

namespace sluice::log {

void WriteBehind::add(const std::shared_ptr<PartitionLog>& partition, std::uint64_t bytes) {
  unwritten_bytes_ += bytes;
  if (!partition->dirty) {
    partition->dirty = true;
    dirty_.push_back(partition);
  }
  if (unwritten_bytes_ >= threshold) return start();
  if (timer_ != runtime::TimerId::none) return;
  timer_ = loop_.run_after(delay, [this] {
    timer_ = runtime::TimerId::none;
    start();
  });
}

void WriteBehind::write_all(Task done) {
  waiting_.push_back(std::move(done));
  start();
}

void WriteBehind::start() {
  if (writing_ || dead_ || failed_) return;
  covered_ = std::exchange(waiting_, {});
  const auto plan = std::make_shared<Plan>();
  for (const auto& partition : std::exchange(dirty_, {})) {
    partition->dirty = false;
    if (!partition->dropped) plan_partition(partition, *plan);
  }
  plan->bytes = std::exchange(unwritten_bytes_, 0);
  submit(plan);
}

void WriteBehind::plan_partition(const std::shared_ptr<PartitionLog>& partition, Plan& plan) {
  const std::span<const BlockRef> blocks = partition->cached.from(partition->written_until);
  if (blocks.empty()) return;
  const std::int64_t own_size = partition->options.segment_size;
  const SegmentPlan how{
      .segment_size = own_size > 0 ? static_cast<std::uint64_t>(own_size) : segment_size_,
      .roll = std::exchange(partition->roll, false),
      .key_index = partition->options.key_index,
      .tidy = !std::exchange(partition->tidied, true)};
  for (SegmentWrite& write : plan_writes(partition->state, blocks, how))
    plan.steps.push_back({partition, std::move(write)});
}

void WriteBehind::submit(const std::shared_ptr<Plan>& plan) {
  writing_ = true;
  helper_.run(
      [store = store_, plan]() -> Result<std::vector<SealedKeys>> {
        for (const Step& step : plan->steps) SLUICE_TRY(store->write(step.write));
        return store->take_sealed();
      },
      [this, plan](Result<std::vector<SealedKeys>> result) {
        on_written(plan, std::move(result));
      });
}

void WriteBehind::on_written(const std::shared_ptr<Plan>& plan,
                             Result<std::vector<SealedKeys>> result) {
  writing_ = false;
  if (!result) {
    unwritten_bytes_ += plan->bytes;
    if (result.error().code == Errc::disk_full) {
      failed_ = plan;
    } else {
      dead_ = true;
    }
    return owner_.on_segments_failed(result.error());
  }
  for (const Step& step : plan->steps) apply(step);
  for (Task& task : std::exchange(covered_, {})) task();
  owner_.on_segments_written(plan->bytes, std::move(*result));
  if (!waiting_.empty() || unwritten_bytes_ >= threshold) start();
}

void WriteBehind::apply(const Step& step) {
  PartitionLog& partition = *step.partition;
  if (partition.dropped || step.write.blocks.empty()) return;
  apply_write(partition.state, step.write, loop_.wall_ms());
  partition.written_until = step.write.blocks.back()->until();
}

void WriteBehind::resume() {
  if (!failed_) return;
  const auto plan = std::exchange(failed_, nullptr);
  unwritten_bytes_ -= plan->bytes;
  submit(plan);
}

}  // namespace sluice::log
