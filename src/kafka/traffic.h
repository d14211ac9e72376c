#pragma once

#include <array>
#include <vector>

#include "base/logger.h"
#include "base/metrics.h"
#include "kafka/reply.h"
#include "runtime/loop.h"

namespace sluice::kafka {

// What a server counts and logs of its connections.
class Traffic {
 public:
  Traffic(Metrics& metrics, runtime::Loop& loop);

  void connected() { connections_.add(1); }
  void disconnected() { connections_.add(-1); }
  void received(std::size_t bytes) { received_.add(bytes); }
  void sent(std::size_t bytes) { sent_.add(bytes); }
  void requested(const Api& api) { requests_[index_of(api)]->add(); }

  // A connection was closed for a fault of its peer: one line and one count.
  void refused(Refusal refusal, const runtime::Endpoint& peer, std::string_view text);
  // A request that is not offered: counted by its key, which is a number of the peer's choice.
  void not_offered(std::int16_t key);

 private:
  Metrics& metrics_;
  runtime::Loop& loop_;
  Gauge& connections_;
  Counter& received_;
  Counter& sent_;
  std::vector<Counter*> requests_;  // by index_of()
  std::array<Counter*, refusal_count> refusals_{};
  LogLimit log_limit_;
};

}  // namespace sluice::kafka
