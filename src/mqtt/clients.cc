#include "mqtt/clients.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "mqtt/connection.h"

namespace sluice::mqtt {

namespace {

constexpr std::uint32_t slice = 2048;  // places looked at in one turn

}  // namespace

struct Clients::Walk {
  std::weak_ptr<ConnectionContext> context;
  Visit visit;
  std::move_only_function<void()> done;
  std::uint32_t next = 0;
};

void Clients::walk(Visit visit, std::move_only_function<void()> done) const {
  step(std::make_unique<Walk>(Walk{context_, std::move(visit), std::move(done)}));
}

void Clients::step(std::unique_ptr<Walk> walk) {
  const auto context = walk->context.lock();
  if (!context) return;
  auto& connections = context->connections;
  const std::uint32_t end = std::min(walk->next + slice, connections.places());
  bool goes_on = true;
  for (; walk->next < end && goes_on; ++walk->next)
    if (auto* connection = connections.used(walk->next); connection && (*connection)->connected())
      goes_on = walk->visit(**connection);
  if (!goes_on || walk->next >= connections.places()) return walk->done();
  context->loop.post([walk = std::move(walk)]() mutable { step(std::move(walk)); });
}

void Clients::list(PageQuery query, std::move_only_function<void(ClientPage)> done) const {
  // The lowest ids found so far, one more than asked for.
  struct Found {
    PageQuery query;
    std::map<std::string, hub::Handle> connections{};
  };
  const auto found = std::make_shared<Found>(Found{std::move(query)});
  const auto look = [found](const Connection& connection) {
    const std::string& id = connection.client_id();
    if (id <= found->query.after || id.find(found->query.contains) == std::string::npos)
      return true;
    found->connections[id] = connection.handle();
    if (found->connections.size() > found->query.limit + 1)
      found->connections.erase(std::prev(found->connections.end()));
    return true;
  };
  walk(look, [weak = std::weak_ptr(context_), found, done = std::move(done)]() mutable {
    const auto context = weak.lock();
    if (!context) return;
    ClientPage page;
    page.has_more = found->connections.size() > found->query.limit;
    page.total = context->connections.size();
    if (page.has_more) found->connections.erase(std::prev(found->connections.end()));
    for (const auto& [id, handle] : found->connections)
      if (auto* connection = context->connections.find(handle))
        page.clients.push_back((*connection)->summary());
    done(std::move(page));
  });
}

void Clients::show(std::string client_id,
                   std::move_only_function<void(std::optional<ClientState>)> done) const {
  const auto found = std::make_shared<std::optional<ClientState>>();
  const auto look = [found, client_id = std::move(client_id)](const Connection& connection) {
    if (connection.client_id() != client_id) return true;
    *found = connection.describe();
    return false;
  };
  walk(look, [found, done = std::move(done)]() mutable { done(std::move(*found)); });
}

void Clients::kick(std::string client_id, std::string text,
                   std::move_only_function<void(bool)> done) const {
  const auto found = std::make_shared<bool>(false);
  const auto look = [found, client_id = std::move(client_id),
                     text = std::move(text)](Connection& connection) {
    if (connection.client_id() != client_id) return true;
    connection.kick(text);
    *found = true;
    return false;
  };
  walk(look, [found, done = std::move(done)]() mutable { done(*found); });
}

}  // namespace sluice::mqtt
