#include "mqtt/wills.h"

#include <chrono>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "mqtt/message_properties.h"
#include "sessions/sessions.h"

namespace sluice::mqtt {

namespace {

std::uint32_t seconds_of(runtime::TimePoint now) {
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  return static_cast<std::uint32_t>(since.count());
}

}  // namespace

Wills::Wills(runtime::Loop& loop, hub::Hub& hub, const Options& options, Counters& counters)
    : loop_(loop), hub_(hub), options_(options), counters_(counters) {}

Wills::~Wills() {
  if (publisher_.valid()) hub_.remove_publisher(publisher_);
}

void Wills::leave(std::string client_id, std::unique_ptr<StoredWill> will) {
  if (will->wait_s() == 0 || !has_place(*will)) {
    hub_.release(client_id, will->session);
    return publish(std::move(will));
  }
  // One more, as the second that has begun does not count.
  const std::uint32_t due_s = seconds_of(loop_.now()) + will->wait_s() + 1;
  const std::uint64_t session = will->session;
  bytes_ += will->size();
  const hub::Handle handle = waiting_.add({std::move(client_id), std::move(will), due_s});
  by_session_.emplace(session, handle);
  wheel_.add(due_s, handle);
  counters_.wills_waiting.add(1);
}

bool Wills::has_place(const StoredWill& will) const {
  return waiting_.size() + without_room_.size() < options_.wills_waiting_max &&
         bytes_ + will.size() <= options_.wills_bytes_max;
}

void Wills::on_taken_over(std::uint64_t session, hub::Claim newer) {
  const auto found = by_session_.find(session);
  if (found == by_session_.end()) return;
  auto will = take(found->second);
  if (newer != hub::Claim::resume) publish(std::move(will));
}

void Wills::start(std::uint32_t now_s) { wheel_.start(now_s); }

void Wills::on_second(std::uint32_t now_s) {
  wheel_.advance(now_s,
                 [this](hub::Handle handle, std::uint32_t second) { on_due(handle, second); });
}

void Wills::on_due(hub::Handle handle, std::uint32_t second) {
  Waiting* waiting = waiting_.find(handle);
  if (!waiting) return;
  if (second < waiting->due_s) {  // later than the wheel reaches
    wheel_.add(waiting->due_s, handle);
    return;
  }
  publish_waiting(handle);
}

void Wills::publish_waiting(hub::Handle handle) {
  const Waiting& waiting = *waiting_.find(handle);
  if (const auto uid = waiting.will->stored_session; uid != 0 && sessions_)
    sessions_->erase_will(waiting.client_id, uid);
  hub_.release(waiting.client_id, waiting.will->session);
  publish(take(handle));
}

void Wills::publish_all() {
  std::vector<hub::Handle> all;
  waiting_.for_each([&](std::uint32_t index, const Waiting& waiting) {
    if (waiting.will->stored_session == 0) all.push_back(waiting_.handle(index));
  });
  for (const hub::Handle handle : all) publish_waiting(handle);
}

void Wills::adopt(const std::string& client_id, std::unique_ptr<StoredWill> will) {
  const std::uint64_t session = will->session;
  // Whatever claims the client id meanwhile finds it waiting.
  auto evict = [this](std::uint64_t of, hub::Claim newer, Task done) {
    on_taken_over(of, newer);
    done();
  };
  hub_.claim(client_id, session, hub::Claim::resume, std::move(evict), [](const Result<void>&) {});
  if (will->wait_s() == 0 && sessions_) sessions_->erase_will(client_id, session);
  leave(client_id, std::move(will));
}

std::unique_ptr<StoredWill> Wills::take(hub::Handle handle) {
  Waiting* waiting = waiting_.find(handle);
  SLUICE_ASSERT(waiting);
  auto will = std::move(waiting->will);
  bytes_ -= will->size();
  by_session_.erase(will->session);
  waiting_.erase(handle);
  counters_.wills_waiting.add(-1);
  return will;
}

void Wills::publish(std::unique_ptr<StoredWill> will) {
  if (without_room_.empty() && try_publish(*will)) return;
  if (!has_place(*will)) return counters_.dropped_will.add();
  bytes_ += will->size();
  without_room_.push_back(std::move(will));
  if (without_room_.size() == 1) hub_.wait_for_room(publisher_);
}

bool Wills::try_publish(const StoredWill& will) {
  hub::Message message{.topic = will.topic,
                       .payload = will.payload,
                       .qos = will.qos,
                       .retain = will.retain,
                       .publisher = will.publisher(),
                       .expiry_s = {},
                       .qos2 = {}};
  const auto read = read_message_properties({will.properties}, message, properties_);
  SLUICE_ASSERT(read.has_value());  // what it refuses is not allowed in a will
  if (!publisher_.valid()) publisher_ = hub_.add_publisher(*this);
  const auto result = hub_.publish(publisher_, next_sequence_++, message);
  if (result) return true;
  if (result.error().code == Errc::busy) return false;
  counters_.dropped_will.add();
  return true;
}

void Wills::on_publish_failed(std::uint64_t, const Error&) { counters_.dropped_will.add(); }

void Wills::on_room() {
  while (!without_room_.empty() && try_publish(*without_room_.front())) {
    bytes_ -= without_room_.front()->size();
    without_room_.pop_front();
  }
  if (!without_room_.empty()) hub_.wait_for_room(publisher_);
}

}  // namespace sluice::mqtt
