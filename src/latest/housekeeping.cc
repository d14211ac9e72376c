#include "latest/housekeeping.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "latest/row.h"

namespace sluice::latest {
namespace {

using namespace std::chrono_literals;

constexpr runtime::Duration portion_interval = 100ms;
constexpr runtime::Duration pass_interval = 30s;

}  // namespace

Housekeeping::Housekeeping(Place& place, const Folds& folds, Metrics& metrics)
    : place_(place),
      folds_(folds),
      entries_(metrics.gauge("sluice_retained_entries",
                             "Retained messages, as counted by the latest pass through them")) {}

Housekeeping::~Housekeeping() { stop(); }

void Housekeeping::start() { wake(portion_interval); }

void Housekeeping::stop() {
  stopped_ = true;
  place_.loop->cancel(std::exchange(timer_, runtime::TimerId::none));
}

void Housekeeping::drop(Partition partition) {
  dropped_.push_back(partition);
  if (dropped_.size() == 1) clear_dropped();
}

void Housekeeping::wake(runtime::Duration delay) {
  if (stopped_) return;
  timer_ = place_.loop->run_after(delay, [this] { turn(); });
}

void Housekeeping::turn() {
  timer_ = runtime::TimerId::none;
  if (to_sweep_.empty()) begin_pass();
  sweep();
}

void Housekeeping::begin_pass() {
  folds_.for_each_with_rows([&](Partition partition) { to_sweep_.push_back(partition); });
  std::ranges::sort(to_sweep_);
  counted_ = 0;
}

void Housekeeping::sweep() {
  if (to_sweep_.empty()) {
    entries_.set(counted_);
    return wake(pass_interval);
  }
  const std::string rows = rows_of(to_sweep_.back());
  place_.table->scan(slot_of(to_sweep_.back()),
                     {.from = from_.empty() ? rows : from_, .until = end_of(rows)},
                     [this](const Result<table::Portion>& portion) { on_swept(portion); });
}

void Housekeeping::on_swept(const Result<table::Portion>& portion) {
  if (stopped_) return;
  const Partition partition = to_sweep_.back();
  if (portion)
    for (const table::Row& row : portion->rows) {
      if (outdated(row))
        place_.table->put_behind(slot_of(partition), row.key, std::nullopt);
      else if (const auto message = decode_row(row.value); message && !message->cleared())
        ++counted_;
    }
  if (portion && portion->next) {
    from_ = *portion->next;
    return wake(portion_interval);
  }
  from_.clear();
  to_sweep_.pop_back();
  if (to_sweep_.empty()) return sweep();
  wake(portion_interval);
}

bool Housekeeping::outdated(const table::Row& row) const {
  const auto message = decode_row(row.value);
  if (!message) return false;
  const WallMs now = place_.loop->wall_ms();
  if (message->cleared())  // a clock that went back a little is no reason
    return message->timestamp > now + 24h / 1ms || message->timestamp + keep_cleared / 1ms < now;
  const auto expiry = expires_at(*message);
  return expiry && *expiry <= now;
}

// --- partitions that are no more

void Housekeeping::clear_dropped() {
  const std::string rows = rows_of(dropped_.front());
  place_.table->scan(slot_of(dropped_.front()), {.from = rows, .until = end_of(rows)},
                     [this](const Result<table::Portion>& portion) { on_dropped(portion); });
}

// What is not done when the process ends, or fails, is done by the next start.
void Housekeeping::on_dropped(const Result<table::Portion>& portion) {
  if (stopped_) return;
  const Partition partition = dropped_.front();
  if (portion)
    for (const table::Row& row : portion->rows)
      place_.table->put_behind(slot_of(partition), row.key, std::nullopt);
  if (portion && portion->next) return place_.loop->post([this] { clear_dropped(); });
  if (portion) place_.table->put_behind(slot_of(partition), position_key(partition), std::nullopt);
  dropped_.pop_front();
  if (!dropped_.empty()) clear_dropped();
}

}  // namespace sluice::latest
