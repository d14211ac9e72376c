#include "mqtt/listener_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mqtt/connection.h"

namespace sluice::mqtt {

namespace {

// So that many who wait for a high rate do not cost a wake-up for each message.
constexpr auto pause_min = std::chrono::milliseconds(10);

}  // namespace

ListenerContext::ListenerContext(ConnectionContext& shard, std::shared_ptr<Listener> listener)
    : connections(shard.metrics.gauge("sluice_mqtt_listener_connections",
                                      "Open connections of a listener",
                                      fmt::format("listener=\"{}\"", listener->options().name))),
      shard_(shard),
      listener_(std::move(listener)),
      session_{.limits = limits(),
               .counters = shard.counters,
               .delivery = shard.delivery,
               .properties = shard.properties,
               .has_rates = listener_->has_rates(),
               .omit = shard.options.omit} {}

ListenerContext::~ListenerContext() { shard_.loop.cancel(timer_); }

bool ListenerContext::has_room() const {
  const Rates& rates = listener_->options().rates;
  if (!rates.limited()) return true;
  const runtime::TimePoint now = shard_.loop.now();
  return rates.has_room(rates.after(listener_->used().load(), now, noted_messages_, noted_bytes_),
                        now);
}

bool ListenerContext::admit(RateUse& client, std::size_t bytes) {
  const runtime::TimePoint now = shard_.loop.now();
  const Rates& rates = limits().client_rates;
  if (!rates.has_room(client, now)) return false;
  if ((!waiting_.empty() && !serving_) || !has_room()) return false;
  client = rates.after(client, now, 1, bytes);
  ++noted_messages_;
  noted_bytes_ += bytes;
  return true;
}

void ListenerContext::settle() {
  if (noted_messages_ == 0) return;
  listener_->used().charge(listener_->options().rates, shard_.loop.now(),
                           std::exchange(noted_messages_, 0), std::exchange(noted_bytes_, 0));
}

void ListenerContext::wait_for_room(hub::Handle connection) {
  if (waiting_.size() > 2 * shard_.connections.size()) forget_gone();
  waiting_.push_back(connection);
  if (!serving_) serve_later();
}

void ListenerContext::serve_waiting() {
  serving_ = true;
  while (!waiting_.empty() && has_room()) {
    const hub::Handle next = waiting_.front();
    waiting_.pop_front();
    if (auto* connection = shard_.connections.find(next)) (*connection)->on_rate();
  }
  serving_ = false;
  serve_later();
}

void ListenerContext::serve_later() {
  if (waiting_.empty() || timer_ != runtime::TimerId::none) return;
  const auto room_at = listener_->options().rates.room_at(listener_->used().load());
  timer_ = shard_.loop.run_at(std::max(room_at, shard_.loop.now() + pause_min), [this] {
    timer_ = runtime::TimerId::none;
    serve_waiting();
  });
}

void ListenerContext::forget_gone() {
  std::erase_if(waiting_,
                [this](hub::Handle who) { return shard_.connections.find(who) == nullptr; });
}

}  // namespace sluice::mqtt
