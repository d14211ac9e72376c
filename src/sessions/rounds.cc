#include "sessions/rounds.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/logger.h"

namespace sluice::sessions {
namespace {

constexpr Logger logger("sessions");

constexpr runtime::Duration interval = std::chrono::seconds(10);
// A cluster may take long to tell the ends of very many partitions: it is busy with them for a
// part of the time only.
constexpr int rest_factor = 20;

}  // namespace

void Rounds::start() {
  moves_ = true;
  if (!finished_) wake(interval);
}

void Rounds::finish(Done<void> done) {
  place_.loop->cancel(std::exchange(timer_, runtime::TimerId::none));
  finished_ = std::move(done);
  if (!under_way_) begin();  // else when that one has ended
}

void Rounds::wake(runtime::Duration delay) {
  timer_ = place_.loop->run_after(delay, [this] {
    timer_ = runtime::TimerId::none;
    begin();
  });
}

void Rounds::begin() {
  under_way_ = true;
  is_last_ = static_cast<bool>(finished_);
  begun_ = place_.loop->now();
  steps_.note_ends([this](Result<void> noted) {
    if (!noted) return end(std::move(noted));
    steps_.save_all([this](Result<void> saved) {
      if (!saved || !moves_) return end(std::move(saved));
      steps_.put_positions([this](Result<void> put) { end(std::move(put)); });
    });
  });
}

void Rounds::end(Result<void> result) {
  under_way_ = false;
  if (!result)
    logger.warn("sessions could not be saved; a start would search for their publishes",
                {{"error", result.error().text}});
  if (!finished_) return wake(std::max(interval, rest_factor * (place_.loop->now() - begun_)));
  if (!is_last_) return begin();
  std::exchange(finished_, nullptr)(std::move(result));
}

}  // namespace sluice::sessions
