#pragma once

#include <cstdint>

#include "hub/hub.h"
#include "hub/share_state.h"
#include "runtime/loop.h"
#include "server/api.h"

namespace sluice::server {

// Queues and the groups of shared subscriptions: those that have members, and those that are
// stored. On shard 0.
class QueuesApi {
 public:
  static constexpr std::int64_t page_max = 1000;  // groups in an answer

  // Those of shard 0, which outlive this.
  QueuesApi(runtime::Loop& loop, hub::Hub& hub) : loop_(loop), hub_(hub) {}

  void add_to(Api& api);

 private:
  void list(ApiCall call);
  void answer_list(Page<hub::ShareSummary> page, http::Respond respond);
  void show(ApiCall call);
  void answer_show(hub::ShareDetails details, http::Respond respond);
  void remove(ApiCall call);

  runtime::Loop& loop_;
  hub::Hub& hub_;
};

}  // namespace sluice::server
