#pragma once

#include "hub/hub.h"
#include "runtime/loop.h"
#include "server/api.h"

namespace sluice::server {

// Traces over HTTP: the answer is a stream of JSON objects, one a line, until the client leaves or
// the time is over. On shard 0.
class TraceApi {
 public:
  static constexpr std::int64_t seconds_max = 86'400;
  static constexpr std::int64_t seconds_default = 600;
  static constexpr std::int64_t payload_max = 1024;  // bytes shown of a payload

  // `loop` is that of shard 0.
  TraceApi(runtime::Loop& loop, hub::Group& group) : loop_(loop), group_(group) {}

  void add_to(Api& api);

 private:
  void start(ApiCall call);

  runtime::Loop& loop_;
  hub::Group& group_;
};

}  // namespace sluice::server
