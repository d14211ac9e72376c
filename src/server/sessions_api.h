#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "hub/hub.h"
#include "runtime/loop.h"
#include "server/api.h"
#include "server/share_backlog.h"
#include "sessions/sessions.h"

namespace sluice::server {

// The stored sessions of all shards, of connected clients and of those that are away. On shard 0.
class SessionsApi {
 public:
  static constexpr std::int64_t page_max = 1000;  // sessions in an answer

  // All are those of shard 0, and outlive this.
  SessionsApi(runtime::Loop& loop, hub::Hub& hub, sessions::Sessions& sessions, Random random)
      : loop_(loop), hub_(hub), sessions_(sessions), random_(random) {}

  void add_to(Api& api);

 private:
  void list(ApiCall call);
  void show(ApiCall call);
  void describe(sessions::Details details, http::Respond respond);
  void describe(sessions::Details details, std::vector<ShareBacklog> shares, http::Respond respond);
  void remove(ApiCall call);

  runtime::Loop& loop_;
  hub::Hub& hub_;
  sessions::Sessions& sessions_;
  Random random_;
};

}  // namespace sluice::server
