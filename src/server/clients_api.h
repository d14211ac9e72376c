#pragma once

#include <functional>
#include <vector>

#include "mqtt/clients.h"
#include "mqtt/server.h"
#include "runtime/mailbox.h"
#include "server/api.h"

namespace sluice::server {

// The clients that are connected, over all shards. On shard 0; asks the others by mailbox, and
// answers when all have answered.
class ClientsApi {
 public:
  static constexpr std::int64_t page_max = 1000;  // clients in an answer

  // `servers` by shard; they outlive this.
  ClientsApi(runtime::Mailboxes& mailboxes, std::vector<mqtt::Server*> servers)
      : mailboxes_(mailboxes), servers_(std::move(servers)) {}

  void add_to(Api& api);

 private:
  void list(ApiCall call);
  void show(ApiCall call);
  void kick(ApiCall call);

  // Calls `request` on each shard with what it must run when it is done; then `done` here.
  using Request = std::function<void(std::size_t shard, const mqtt::Clients& clients, Task reply)>;
  void ask_all(const Request& request, Task done);

  runtime::Mailboxes& mailboxes_;
  std::vector<mqtt::Server*> servers_;
};

}  // namespace sluice::server
