#pragma once

#include <vector>

#include "base/random.h"
#include "hub/hub.h"
#include "runtime/loop.h"
#include "server/api_collection.h"
#include "server/share_backlog.h"
#include "sessions/sessions.h"

namespace sluice::server {

// The stored sessions of all shards, of connected clients and of those that are away. On shard 0.
class SessionsApi final : public ApiCollection {
 public:
  // All are those of shard 0, and outlive this.
  SessionsApi(runtime::Loop& loop, hub::Hub& hub, sessions::Sessions& sessions, Random random)
      : ApiCollection({.name = "sessions",
                       .no_such = "no session of client '{}' is stored",
                       .removed = "session deleted",
                       .log_key = "client"}),
        loop_(loop),
        hub_(hub),
        sessions_(sessions),
        random_(random) {}

 private:
  void list(const PageQuery& query, Done<JsonObject> done) override;
  void show(const std::string& id, Done<std::optional<JsonObject>> done) override;
  void describe(sessions::Details details, Done<std::optional<JsonObject>> done);
  void describe(sessions::Details details, std::vector<ShareBacklog> shares,
                Done<std::optional<JsonObject>> done);
  void remove(const std::string& id, Done<bool> done) override;

  runtime::Loop& loop_;
  hub::Hub& hub_;
  sessions::Sessions& sessions_;
  Random random_;
};

}  // namespace sluice::server
