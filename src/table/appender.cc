#include "table/appender.h"

#include <algorithm>
#include <utility>

#include "base/logger.h"

namespace sluice::table {
namespace {

constexpr Logger logger("table");

constexpr auto behind_delay = std::chrono::milliseconds(100);
constexpr auto retry_delay = std::chrono::seconds(1);
constexpr std::size_t behind_max = 1 << 20;  // bytes of a slot put behind; beyond: at once
constexpr std::size_t batch_size_max = 8 << 20;

}  // namespace

Appender::Appender(runtime::Loop& loop, stream::Stream& stream, Slots& slots, std::string table,
                   Metrics& metrics)
    : loop_(loop),
      stream_(stream),
      slots_(slots),
      table_(std::move(table)),
      batches_(metrics.counter("sluice_table_batches_total", "Batches appended to table streams",
                               fmt::format("table=\"{}\"", table_))) {
  states_.fill({.batch_max = batch_size_max});
}

Appender::~Appender() {
  if (behind_timer_ != runtime::TimerId::none) loop_.cancel(behind_timer_);
}

void Appender::on_behind(std::uint32_t slot) {
  if (slots_[slot].behind_bytes() > behind_max) return on_urgent(slot);
  if (behind_timer_ != runtime::TimerId::none) return;
  behind_timer_ = loop_.run_after(behind_delay, [this] {
    behind_timer_ = runtime::TimerId::none;
    slots_.for_each([this](std::uint32_t number, const Slot& each) {
      if (each.is_waiting()) on_urgent(number);
    });
  });
}

void Appender::on_urgent(std::uint32_t slot) {
  if (std::exchange(states_[slot].due, true)) return;
  if (due_.empty()) loop_.post(guard_([this] { append_due(); }));
  due_.push_back(slot);
}

void Appender::append_due() {
  for (const auto slot : std::exchange(due_, {})) {
    states_[slot].due = false;
    append(slot);
  }
  check_finished();
}

void Appender::append(std::uint32_t slot) {
  auto& changes = slots_[slot];
  // What waits goes when the batch under way is answered, or the slot is free again.
  if (changes.under_way() || states_[slot].blocked || !changes.is_waiting()) return;
  auto batch = changes.next_batch(builder_, loop_.wall_ms(), states_[slot].batch_max);
  stream_.append(
      {stream_id_, slot}, std::move(batch),
      guard_([this, slot](const Result<stream::Appended>& answer) { on_answer(slot, answer); }));
}

void Appender::on_answer(std::uint32_t slot, const Result<stream::Appended>& answer) {
  if (answer) {
    batches_.add();
    states_[slot].batch_max = batch_size_max;
    slots_[slot].finish();
    go_on(slot);
  } else {
    on_refused(slot, answer.error());
  }
  check_finished();
}

void Appender::on_refused(std::uint32_t slot, const Error& error) {
  auto& changes = slots_[slot];
  if (error.code == Errc::busy) {
    changes.retry();
    block(slot);
    stream_.on_room({stream_id_, slot}, guard_([this, slot] { unblock(slot); }));
    return;
  }
  if (error.code == Errc::too_large && changes.changes_under_way() > 1) {
    auto& bytes_max = states_[slot].batch_max;
    bytes_max = std::max<std::size_t>(bytes_max / 2, 1);
    changes.retry();
    return on_urgent(slot);
  }
  if (error.code == Errc::too_large) {
    if (changes.puts_under_way() == 0) {
      logger.error("a row is too large for its table's stream; it is given up",
                   {{"table", table_}, {"slot", slot}, {"error", error.text}});
    }
    changes.drop_single(error);
    return go_on(slot);
  }
  changes.fail(error);
  if (finished_ && failure_) failure_ = std::unexpected(error.context(table_));
  block(slot);
}

// Until there is room, if somebody says so, and for a second at the most: a disk that fills up
// while the slot waits makes no room, and the puts must hear of it.
void Appender::block(std::uint32_t slot) {
  states_[slot].blocked = true;
  loop_.run_after(retry_delay, guard_([this, slot] { unblock(slot); }));
}

void Appender::unblock(std::uint32_t slot) {
  if (!std::exchange(states_[slot].blocked, false)) return;
  if (slots_[slot].is_waiting()) on_urgent(slot);
}

// After a batch: what somebody waits for goes on at once.
void Appender::go_on(std::uint32_t slot) {
  const auto& changes = slots_[slot];
  if (!changes.is_waiting()) return;
  if (changes.has_puts() || changes.has_flushes() || finished_) return on_urgent(slot);
  on_behind(slot);
}

void Appender::finish(Done<void> done) {
  finished_ = std::move(done);
  slots_.for_each([this](std::uint32_t slot, const Slot& /*changes*/) { on_urgent(slot); });
}

void Appender::check_finished() {
  if (!finished_) return;
  bool waiting = false;
  slots_.for_each([&](std::uint32_t slot, const Slot& changes) {
    waiting |= states_[slot].due || changes.under_way() || (failure_ && changes.is_waiting());
  });
  if (!waiting) std::exchange(finished_, {})(std::move(failure_));
}

}  // namespace sluice::table
