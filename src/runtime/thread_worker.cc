#include "runtime/thread_worker.h"

#include <pthread.h>

#include <string>
#include <utility>

namespace sluice::runtime {

void set_thread_name(std::string_view name) {
  ::pthread_setname_np(::pthread_self(), std::string(name.substr(0, 15)).c_str());
}

ThreadWorker::ThreadWorker(Loop& loop, std::string_view name)
    : loop_(loop), thread_([this, name = std::string(name)] {
        set_thread_name(name);
        run();
      }) {}

ThreadWorker::~ThreadWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
}

void ThreadWorker::submit(Task job, Task done) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({std::move(job), std::move(done)});
    wake = std::exchange(sleeping_, false);
  }
  if (wake) wake_.notify_one();
}

void ThreadWorker::run() {
  std::vector<Work> batch;
  while (wait_for_work(batch)) {
    for (auto& work : batch) {
      work.job();
      work.job = nullptr;  // what it holds is let go before `done` may run
      loop_.post_from_outside(std::move(work.done));
    }
    batch.clear();
  }
}

// False when stopped and nothing is left.
bool ThreadWorker::wait_for_work(std::vector<Work>& batch) {
  std::unique_lock lock(mutex_);
  while (queue_.empty() && !stopping_) {
    sleeping_ = true;
    wake_.wait(lock);
  }
  sleeping_ = false;
  batch.swap(queue_);
  return !batch.empty();
}

}  // namespace sluice::runtime
