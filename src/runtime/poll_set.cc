#include "runtime/poll_set.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <limits>
#include <span>

#include "base/assert.h"

namespace sluice::runtime {

namespace {

constexpr std::size_t events_max = 256;
constexpr std::uint32_t interesting = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

timespec to_timespec(Duration duration) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(duration);
  return {.tv_sec = seconds.count(), .tv_nsec = (duration - seconds).count()};
}

// epoll_pwait2 came with Linux 5.11; before, a wait is rounded up to milliseconds.
int wait_coarsely(int epoll, std::span<epoll_event> events, std::optional<Duration> timeout) {
  using std::chrono::milliseconds;
  constexpr auto longest = milliseconds(std::numeric_limits<int>::max());
  auto limit = milliseconds(-1);  // none
  if (timeout) limit = std::min(std::chrono::ceil<milliseconds>(*timeout), longest);
  return ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()),
                      static_cast<int>(limit.count()));
}

int wait_for_events(int epoll, std::span<epoll_event> events, std::optional<Duration> timeout) {
  const timespec limit = to_timespec(timeout.value_or(Duration::zero()));
  const int count = ::epoll_pwait2(epoll, events.data(), static_cast<int>(events.size()),
                                   timeout ? &limit : nullptr, nullptr);
  return count < 0 && errno == ENOSYS ? wait_coarsely(epoll, events, timeout) : count;
}

}  // namespace

PollSet::PollSet() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) { SLUICE_ASSERT(epoll_.valid()); }

void PollSet::add(int fd, SocketHandler& handler, Interest interest) {
  const auto number = static_cast<std::size_t>(fd);
  if (number >= slots_.size()) slots_.resize(number + 1);
  Slot& slot = slots_[number];
  SLUICE_ASSERT(slot.handler == nullptr);
  slot = {.handler = &handler, .generation = slot.generation};
  epoll_event event{.events = interesting, .data = {.u64 = token_of(fd)}};
  SLUICE_ASSERT(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  set_interest(fd, interest);
}

void PollSet::set_interest(int fd, Interest interest) {
  Slot& slot = slots_[static_cast<std::size_t>(fd)];
  slot.wants_read = interest.read;
  slot.wants_write = interest.write;
  queue_if_due(token_of(fd), slot);
}

void PollSet::remove(int fd) {
  const auto number = static_cast<std::size_t>(fd);
  if (number >= slots_.size() || slots_[number].handler == nullptr) return;
  SLUICE_ASSERT(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
  slots_[number].handler = nullptr;
  ++slots_[number].generation;
}

void PollSet::drained(int fd) {
  Slot& slot = slots_[static_cast<std::size_t>(fd)];
  if (!slot.ended) slot.readable = false;
}

void PollSet::filled(int fd) { slots_[static_cast<std::size_t>(fd)].writable = false; }

PollSet::Token PollSet::token_of(int fd) const {
  const auto number = static_cast<std::uint32_t>(fd);
  return Token{slots_[number].generation} << 32 | number;
}

PollSet::Slot* PollSet::find(Token token) {
  Slot& slot = slots_[static_cast<std::uint32_t>(token)];
  const bool same = slot.generation == token >> 32 && slot.handler != nullptr;
  return same ? &slot : nullptr;
}

void PollSet::queue_if_due(Token token, Slot& slot) {
  if (slot.queued || !(slot.read_due() || slot.write_due())) return;
  slot.queued = true;
  due_.push_back(token);
}

void PollSet::wait(std::optional<Duration> timeout) {
  std::array<epoll_event, events_max> events;
  const int count = wait_for_events(epoll_.get(), events, timeout);
  SLUICE_ASSERT(count >= 0 || errno == EINTR);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    Slot* const slot = find(event.data.u64);
    if (slot == nullptr) continue;
    // A hang-up or an error goes to whichever the handler asks for: its next call then gets it.
    const bool failed = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
    slot->ended = slot->ended || failed || (event.events & EPOLLRDHUP) != 0;
    slot->readable = slot->readable || slot->ended || (event.events & EPOLLIN) != 0;
    slot->writable = slot->writable || failed || (event.events & EPOLLOUT) != 0;
    queue_if_due(event.data.u64, *slot);
  }
}

std::size_t PollSet::serve() {
  const std::size_t count = std::min(due_.size(), events_max);
  const auto end = due_.begin() + static_cast<std::ptrdiff_t>(count);
  serving_.assign(due_.begin(), end);
  due_.erase(due_.begin(), end);
  for (const Token token : serving_) serve(token);
  return count;
}

// A handler may close its own descriptor, and any other.
void PollSet::serve(Token token) {
  Slot* slot = find(token);
  if (slot == nullptr) return;
  slot->queued = false;
  if (slot->read_due()) {
    slot->handler->on_readable();
    slot = find(token);
  }
  if (slot != nullptr && slot->write_due()) {
    slot->handler->on_writable();
    slot = find(token);
  }
  if (slot != nullptr) queue_if_due(token, *slot);
}

}  // namespace sluice::runtime
