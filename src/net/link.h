#pragma once

#include <span>
#include <string>

#include "base/bytes.h"
#include "runtime/loop.h"

namespace sluice::net {

// What a Channel with layers does.
class Link {
 public:
  virtual ~Link() = default;
  virtual void attach(runtime::SocketHandler& handler) = 0;
  virtual void watch(runtime::Interest interest) = 0;
  virtual runtime::Transfer receive(MutableBytes into) = 0;
  virtual runtime::Transfer send(std::span<const Bytes> pieces) = 0;
  virtual void close() = 0;
  [[nodiscard]] virtual bool encrypted() const = 0;
  [[nodiscard]] virtual std::string certificate_name() const = 0;
};

}  // namespace sluice::net
