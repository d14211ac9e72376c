#pragma once

#include <memory>
#include <utility>

namespace sluice::table {

// Wraps callbacks so that they do nothing once this object is gone: the stream and the loop may
// call when the table is there no more.
class Guard {
 public:
  template <class F>
  auto operator()(F f) const {
    return [f = std::move(f), alive = std::weak_ptr<char>(alive_)](auto&&... arguments) mutable {
      if (!alive.expired()) f(std::forward<decltype(arguments)>(arguments)...);
    };
  }

 private:
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace sluice::table
