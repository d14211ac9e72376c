#pragma once

#include <memory>

#include "runtime/loop.h"

namespace sluice::runtime {

// A loop on the operating system's sockets. Made, set up and destroyed on any thread while it does
// not run; run() is called on the thread that is to be the shard.
class RealLoop : public Loop {
 public:
  static std::unique_ptr<RealLoop> create();
  virtual void run() = 0;   // until stop(); may be called again
  virtual void stop() = 0;  // from any thread; when called before run(), run() returns at once
};

// Calls `handler` on the loop at the first SIGTERM or SIGINT. From then on these signals do what
// they do by default, so that a second Ctrl-C ends a process whose orderly stop hangs.
void on_terminate_signal(RealLoop& loop, Task handler);

// Calls `handler` on the loop at each SIGHUP, which no longer ends the process.
void on_hangup_signal(RealLoop& loop, Task handler);

}  // namespace sluice::runtime
