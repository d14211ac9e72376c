#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "runtime/loop.h"
#include "runtime/worker.h"

namespace sluice::log {

// A helper thread of the log: `job` runs there and its result comes back to `then` on the shard's
// loop, unless the helper is gone by then. What a job touches must be held by the job itself.
class Helper {
 public:
  Helper(runtime::Loop& loop, std::string_view name) : worker_(loop.make_worker(name)) {}

  template <class Job, class Then>
  void run(Job job, Then then) {
    using R = std::invoke_result_t<Job>;
    auto result = std::make_shared<std::optional<R>>();
    worker_->submit(
        [job = std::move(job), result]() mutable { result->emplace(job()); },
        [then = std::move(then), result, alive = std::weak_ptr<char>(alive_)]() mutable {
          if (!alive.expired()) then(std::move(**result));
        });
  }

 private:
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  std::unique_ptr<runtime::Worker> worker_;
};

}  // namespace sluice::log
