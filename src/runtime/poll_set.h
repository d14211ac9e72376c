#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/file_descriptor.h"
#include "runtime/loop.h"

namespace sluice::runtime {

// An epoll set and the handlers of its descriptors, indexed by descriptor: 16 bytes for each,
// whether idle or busy.
//
// Towards the kernel it is edge-triggered: a descriptor is registered once, and what the kernel has
// told of it is remembered until its owner reports that nothing was left (drained, filled). Towards
// handlers it is level-triggered, so neither a handler that stops early nor a change of interest
// costs a system call.
class PollSet {
 public:
  PollSet();

  void add(int fd, SocketHandler& handler, Interest interest = {});
  void set_interest(int fd, Interest interest);
  // No effect if it is not there. Events of `fd` that were already fetched are dropped, even if its
  // number is taken again at once.
  void remove(int fd);

  // What the owner of `fd` has found out: there was nothing more to read, or no room to write.
  // Until then the handler is called again and again.
  void drained(int fd);
  void filled(int fd);

  // Some handlers are due, whatever the kernel has to say.
  [[nodiscard]] bool has_due() const { return !due_.empty(); }
  // Fetches what the kernel has to say, and waits for it: as long as it takes without a `timeout`.
  void wait(std::optional<Duration> timeout);
  // Calls the handlers that are due, each once, at most 256; returns how many.
  std::size_t serve();

 private:
  struct Slot {
    SocketHandler* handler = nullptr;
    std::uint32_t generation = 0;
    bool wants_read : 1 = false;
    bool wants_write : 1 = false;
    bool readable : 1 = false;
    bool writable : 1 = false;
    bool ended : 1 = false;  // by the peer or an error: readable for good
    bool queued : 1 = false;

    [[nodiscard]] bool read_due() const { return wants_read && readable; }
    [[nodiscard]] bool write_due() const { return wants_write && writable; }
  };
  static_assert(sizeof(Slot) == 16);

  // A descriptor and the generation of its slot: what the kernel gives back with an event.
  using Token = std::uint64_t;

  Token token_of(int fd) const;
  Slot* find(Token token);
  void queue_if_due(Token token, Slot& slot);
  void serve(Token token);

  FileDescriptor epoll_;
  std::vector<Slot> slots_;
  std::vector<Token> due_;  // first come, first served; each descriptor once
  std::vector<Token> serving_;
};

}  // namespace sluice::runtime
