#include "sessions/sweep.h"

#include <chrono>
#include <utility>

#include "sessions/record.h"

namespace sluice::sessions {
namespace {

using namespace std::chrono_literals;

constexpr runtime::Duration portion_interval = 100ms;
constexpr runtime::Duration pass_interval = 60s;
constexpr runtime::Duration retry_delay = 1s;  // of a first pass that failed
constexpr std::size_t rows_max = 1000;

}  // namespace

void Sweep::start(Task first_done) {
  first_done_ = std::move(first_done);
  slot_ = place_.shard.value;
  sweep();
}

void Sweep::stop() {
  stopped_ = true;
  place_.loop->cancel(std::exchange(timer_, runtime::TimerId::none));
}

void Sweep::wake(runtime::Duration delay) {
  if (stopped_) return;
  timer_ = place_.loop->run_after(delay, [this] {
    timer_ = runtime::TimerId::none;
    sweep();
  });
}

void Sweep::sweep() {
  while (slot_ < slot_count && place_.table->empty(slot_)) slot_ += place_.shards;
  if (slot_ >= slot_count) return end_pass();
  KeyRange range = metas_after({});
  place_.table->scan(slot_,
                     {.from = from_.empty() ? std::move(range.from) : from_,
                      .until = std::move(range.until),
                      .rows_max = rows_max},
                     [this](Result<table::Portion> portion) { on_portion(std::move(portion)); });
}

void Sweep::on_portion(Result<table::Portion> portion) {
  if (stopped_) return;
  next_.clear();
  failed_ |= !portion;
  looking_ = 1;  // this
  if (portion) {
    if (portion->next) next_ = std::move(*portion->next);
    for (const table::Row& row : portion->rows) look_at(row);
  }
  end_look({});
}

void Sweep::look_at(const table::Row& row) {
  const auto client_id = client_in_meta_key(row.key);
  const auto meta = decode_meta(row.value);
  if (!client_id || !meta) return;  // whoever connects says so
  const Home::Need need = home_.need_of(*meta);
  if (need != Home::Need::removing) ++counted_;
  if (need == Home::Need::nothing) return;
  ++looking_;
  home_.look(std::string(*client_id), [this](const Result<void>& result) { end_look(result); });
}

void Sweep::end_look(const Result<void>& result) {
  failed_ |= !result;
  if (--looking_ > 0 || stopped_) return;
  from_ = std::exchange(next_, {});
  if (from_.empty()) slot_ += place_.shards;
  if (slot_ >= slot_count) return end_pass();
  wake(portion_interval);
}

void Sweep::end_pass() {
  home_.set_stored(std::exchange(counted_, 0));
  slot_ = place_.shard.value;
  const bool failed = std::exchange(failed_, false);
  wake(first_done_ && failed ? retry_delay : pass_interval);
  if (first_done_ && !failed) std::exchange(first_done_, nullptr)();
}

}  // namespace sluice::sessions
