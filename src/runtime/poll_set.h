#pragma once

#include <cstdint>
#include <vector>

#include "runtime/file_descriptor.h"
#include "runtime/loop.h"

namespace sluice::runtime {

// A level-triggered epoll set and the handlers of its descriptors, indexed by descriptor: 16 bytes
// for each, whether idle or busy.
//
// A descriptor for which nothing is asked leaves the epoll set: the kernel would report a hang-up
// again and again.
class PollSet {
 public:
  PollSet();

  // The set is readable when one of its descriptors is ready.
  [[nodiscard]] int fd() const { return epoll_.get(); }

  void add(int fd, SocketHandler& handler, Interest interest = {});
  void set_interest(int fd, Interest interest);
  // No effect if it is not there. Events of `fd` that were already fetched are dropped, even if its
  // number is taken again at once.
  void remove(int fd);

  // Calls the handlers of what is ready now, without waiting; returns how many descriptors were
  // ready.
  std::size_t serve();

 private:
  struct Slot {
    SocketHandler* handler = nullptr;
    std::uint32_t generation = 0;
    Interest interest{.read = false, .write = false};
  };

  void control(int operation, int fd, const Slot& slot);
  Slot* find(std::uint64_t token);

  FileDescriptor epoll_;
  std::vector<Slot> slots_;
};

}  // namespace sluice::runtime
