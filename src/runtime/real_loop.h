#pragma once

#include <memory>

#include "runtime/loop.h"

namespace sluice::runtime {

// A loop on the operating system's sockets. run() is called on the thread that is to be the shard.
class RealLoop : public Loop {
 public:
  static std::unique_ptr<RealLoop> create();
  virtual void run() = 0;                 // until stop()
  virtual void stop() = 0;                // from any thread
};

// Calls `handler` on the loop when the process gets SIGTERM or SIGINT (once each).
void on_terminate_signal(RealLoop& loop, Task handler);

}  // namespace sluice::runtime
