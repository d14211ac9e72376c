#pragma once

#include "hub/hub.h"
#include "hub/share_state.h"
#include "runtime/loop.h"
#include "server/api_collection.h"

namespace sluice::server {

// Queues and the groups of shared subscriptions: those that have members, and those that are
// stored. On shard 0.
class QueuesApi final : public ApiCollection {
 public:
  // Those of shard 0, which outlive this.
  QueuesApi(runtime::Loop& loop, hub::Hub& hub)
      : ApiCollection({.name = "queues",
                       .no_such = "there is no queue or shared subscription '{}'",
                       .removed = "queue deleted",
                       .log_key = "queue"}),
        loop_(loop),
        hub_(hub) {}

 private:
  void list(const PageQuery& query, Done<JsonObject> done) override;
  void show(const std::string& id, Done<std::optional<JsonObject>> done) override;
  void remove(const std::string& id, Done<bool> done) override {
    hub_.remove_share(id, std::move(done));
  }

  void describe(hub::ShareDetails details, Done<std::optional<JsonObject>> done);

  runtime::Loop& loop_;
  hub::Hub& hub_;
};

}  // namespace sluice::server
