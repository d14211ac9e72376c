#pragma once

#include <memory>
#include <vector>

#include "kafka/wire.h"
#include "net/channel.h"

namespace sluice::kafka {

// The responses of one connection that are on their way to the socket. Spliced blocks are sent from
// where they lie and held until they are gone. Nothing is allocated while it is empty.
class Outbox {
 public:
  void push(Frame frame);
  [[nodiscard]] std::size_t size() const { return size_; }  // bytes not yet sent
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // Sends until all is gone, the socket takes no more, or a turn's share is used up.
  struct Flushed {
    std::size_t bytes = 0;
    bool closed = false;
  };
  Flushed flush(runtime::Loop& loop, net::Channel& channel);

 private:
  void add(Slice piece);
  void drop(std::size_t bytes);

  std::vector<Slice> pieces_;
  std::size_t first_ = 0;  // the first piece that is not sent whole
  std::size_t size_ = 0;
};

}  // namespace sluice::kafka
