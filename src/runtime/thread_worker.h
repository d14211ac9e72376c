#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/loop.h"
#include "runtime/worker.h"

namespace sluice::runtime {

// A Worker that is a thread of its own. The destructor waits until all that was submitted has run.
class ThreadWorker : public Worker {
 public:
  ThreadWorker(Loop& loop, std::string_view name);
  ~ThreadWorker() override;
  void submit(Task job, Task done) override;

 private:
  struct Work {
    Task job;
    Task done;
  };

  void run();
  bool wait_for_work(std::vector<Work>& batch);

  Loop& loop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Work> queue_;
  bool sleeping_ = false;
  bool stopping_ = false;
  std::jthread thread_;
};

// Names the calling thread for debuggers and top; the kernel keeps 15 characters.
void set_thread_name(std::string_view name);

}  // namespace sluice::runtime
