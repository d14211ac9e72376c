#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/page_query.h"
#include "mqtt/client_state.h"

namespace sluice::mqtt {

class Connection;
struct ConnectionContext;

struct ClientPage {
  std::vector<ClientState> clients{};  // the lowest ids, in order; at most the limit
  bool has_more = false;
  std::size_t total = 0;  // connections, those without CONNACK included
};

// What administrators ask about the clients of one shard that have got their CONNACK. Connections
// are gone through a slice per turn, as there may be very many: who comes and goes meanwhile may be
// missed. Answers come on the shard, unless the server goes away before.
class Clients {
 public:
  explicit Clients(std::shared_ptr<ConnectionContext> context) : context_(std::move(context)) {}

  void list(PageQuery query, std::move_only_function<void(ClientPage)> done) const;
  // Nothing: there is no such client.
  void show(std::string client_id,
            std::move_only_function<void(std::optional<ClientState>)> done) const;
  // False: there was no such client. `text` is the reason string that it gets.
  void kick(std::string client_id, std::string text,
            std::move_only_function<void(bool)> done) const;

 private:
  // Calls `visit` for each connected client until it says false, then `done`.
  using Visit = std::move_only_function<bool(Connection&)>;
  struct Walk;
  void walk(Visit visit, std::move_only_function<void()> done) const;
  static void step(std::unique_ptr<Walk> walk);

  std::shared_ptr<ConnectionContext> context_;
};

}  // namespace sluice::mqtt
