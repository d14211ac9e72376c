#pragma once

#include <string>

#include "base/ids.h"
#include "base/task.h"
#include "stream/stream.h"

namespace sluice::stream {

// Whether what is appended can become durable now.
struct Health {
  bool writable = true;
  std::string reason;  // why not
};

// Where the streams of a process come from: the embedded log (embedded.h) or an existing Kafka
// cluster (kafka_stream/kafka_backend.h).
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  [[nodiscard]] virtual Stream& stream(ShardId shard) = 0;  // used on that shard only
  [[nodiscard]] virtual Health health(ShardId shard) = 0;   // on that shard
  // On shard 0: everything appended is made durable and nothing is taken any more; then `done`,
  // with the first error if there was one.
  virtual void stop(Done<void> done) = 0;
};

}  // namespace sluice::stream
