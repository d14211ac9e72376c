#pragma once

#include <functional>
#include <vector>

#include "mqtt/clients.h"
#include "mqtt/server.h"
#include "runtime/mailbox.h"
#include "server/api_collection.h"

namespace sluice::server {

// The clients that are connected, over all shards. On shard 0; asks the others by mailbox, and
// answers when all have answered.
class ClientsApi final : public ApiCollection {
 public:
  // `servers` by shard; they outlive this.
  ClientsApi(runtime::Mailboxes& mailboxes, std::vector<mqtt::Server*> servers)
      : ApiCollection({.name = "clients",
                       .no_such = "no client '{}' is connected",
                       .removed = "client kicked",
                       .log_key = "client"}),
        mailboxes_(mailboxes),
        servers_(std::move(servers)) {}

 private:
  void list(const PageQuery& query, Done<JsonObject> done) override;
  void show(const std::string& id, Done<std::optional<JsonObject>> done) override;
  void remove(const std::string& id, Done<bool> done) override;

  // Calls `request` on each shard with what it must give its answer; then `done` here with all
  // answers, by shard.
  template <class T>
  using Request =
      std::function<void(const mqtt::Clients& clients, std::move_only_function<void(T)> answer)>;
  template <class T>
  void ask_all(const Request<T>& request, std::move_only_function<void(std::vector<T>)> done);

  runtime::Mailboxes& mailboxes_;
  std::vector<mqtt::Server*> servers_;
};

}  // namespace sluice::server
