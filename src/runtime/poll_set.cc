#include "runtime/poll_set.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace sluice::runtime {

namespace {

constexpr std::size_t events_max = 256;
constexpr Interest no_interest{.read = false, .write = false};

// What the kernel gives back with an event: the descriptor and the generation of its slot.
std::uint64_t make_token(int fd, std::uint32_t generation) {
  return std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(fd);
}

}  // namespace

PollSet::PollSet() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) { SLUICE_ASSERT(epoll_.valid()); }

void PollSet::add(int fd, SocketHandler& handler, Interest interest) {
  const auto number = static_cast<std::size_t>(fd);
  if (number >= slots_.size()) slots_.resize(number + 1);
  SLUICE_ASSERT(slots_[number].handler == nullptr);
  slots_[number].handler = &handler;
  set_interest(fd, interest);
}

void PollSet::set_interest(int fd, Interest interest) {
  auto& slot = slots_[static_cast<std::size_t>(fd)];
  if (slot.interest == interest) return;
  const auto before = std::exchange(slot.interest, interest);
  control(before == no_interest     ? EPOLL_CTL_ADD
          : interest == no_interest ? EPOLL_CTL_DEL
                                    : EPOLL_CTL_MOD,
          fd, slot);
}

void PollSet::remove(int fd) {
  if (static_cast<std::size_t>(fd) >= slots_.size()) return;
  set_interest(fd, no_interest);
  auto& slot = slots_[static_cast<std::size_t>(fd)];
  slot.handler = nullptr;
  ++slot.generation;
}

void PollSet::control(int operation, int fd, const Slot& slot) {
  epoll_event event{};
  event.events = (slot.interest.read ? EPOLLIN : 0u) | (slot.interest.write ? EPOLLOUT : 0u);
  event.data.u64 = make_token(fd, slot.generation);
  SLUICE_ASSERT(::epoll_ctl(epoll_.get(), operation, fd, &event) == 0);
}

PollSet::Slot* PollSet::find(std::uint64_t token) {
  auto& slot = slots_[static_cast<std::uint32_t>(token)];
  const bool same = slot.generation == token >> 32 && slot.handler != nullptr;
  return same ? &slot : nullptr;
}

std::size_t PollSet::serve() {
  std::array<epoll_event, events_max> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events_max, 0);
  if (count < 0) {
    SLUICE_ASSERT(errno == EINTR);
    return 0;
  }
  for (const auto& event : std::span(events).first(static_cast<std::size_t>(count))) {
    // A hang-up or error goes to whichever the handler asked for: its next call then gets it.
    const auto failed = event.events & (EPOLLHUP | EPOLLERR);
    auto* slot = find(event.data.u64);
    if (slot != nullptr && slot->interest.read && (event.events & EPOLLIN || failed)) {
      slot->handler->on_readable();
      slot = find(event.data.u64);  // the handler may have closed it
    }
    if (slot != nullptr && slot->interest.write && (event.events & EPOLLOUT || failed)) {
      slot->handler->on_writable();
    }
  }
  return static_cast<std::size_t>(count);
}

}  // namespace sluice::runtime
