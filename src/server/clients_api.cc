#include "server/clients_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/logger.h"
#include "base/start_point.h"
#include "runtime/ask.h"
#include "server/client_json.h"

namespace sluice::server {

namespace {

using mqtt::ClientPage;
using mqtt::ClientState;

constexpr Logger logger("admin");

JsonObject summary_json(const ClientState& client) {
  JsonObject out;
  out.add("client_id", client.client_id)
      .add("user", client.user)
      .add("protocol", "mqtt")
      .add("version", to_string(client.version))
      .add("peer", client.peer)
      .add("listener", client.listener)
      .add("transport", net::to_string(client.transport))
      .add("connected_since", format_time(client.connected_ms))
      .add("clean_start", client.clean_start)
      .add("keep_alive_s", client.keep_alive_s)
      .add("subscription_count", client.subscription_count)
      .add("published", client.published)
      .add("in_flight_from", client.in_flight_from)
      .add("in_flight_to", client.in_flight_to)
      .add("bytes_waiting", client.bytes_waiting)
      .add("lagging", client.is_lagging);
  return out;
}

std::string behind_json(const hub::SubscriberState::Behind& behind) {
  return JsonObject()
      .add("stream", behind.stream)
      .add("partition", behind.partition)
      .add("next", behind.next.value)
      .add("end", behind.end.value)
      .add("records", behind.end - behind.next)
      .str();
}

std::string details_json(const ClientState& client) {
  JsonObject out = summary_json(client);
  if (client.packet_max != 0) out.add("packet_size_max", client.packet_max);
  if (client.will)
    out.add_raw("will", JsonObject()
                            .add("topic", client.will->topic)
                            .add("qos", client.will->qos)
                            .add("retain", client.will->retain)
                            .add("delay_s", client.will->delay_s)
                            .str());
  std::vector<std::string> behind;
  behind.reserve(client.subscriber.behind.size());
  for (const auto& one : client.subscriber.behind) behind.push_back(behind_json(one));
  out.add_raw("subscriptions", subscriptions_json(client.subscriber.subscriptions))
      .add_raw("behind", json_array(behind))
      .add_raw("lost", lost_json(client.lost))
      .add("waits_for_retained", client.subscriber.waits_for_retained);
  return out.str();
}

// The lowest ids of all shards. A client id that is being taken over may be on two.
std::string merged_json(std::vector<ClientPage>& pages, std::size_t limit) {
  std::vector<ClientState> clients;
  bool has_more = false;
  std::size_t total = 0;
  for (ClientPage& page : pages) {
    std::ranges::move(page.clients, std::back_inserter(clients));
    has_more = has_more || page.has_more;
    total += page.total;
  }
  std::ranges::sort(clients, {}, &ClientState::client_id);
  const auto repeated = std::ranges::unique(clients, {}, &ClientState::client_id);
  clients.erase(repeated.begin(), repeated.end());
  has_more = has_more || clients.size() > limit;
  clients.resize(std::min(clients.size(), limit));

  std::vector<std::string> rows;
  rows.reserve(clients.size());
  for (const ClientState& client : clients) rows.push_back(summary_json(client).str());
  JsonObject out;
  out.add_raw("clients", json_array(rows)).add("connections", total);
  if (has_more && !clients.empty()) out.add("next", clients.back().client_id);
  return out.str();
}

http::Response no_such_client(std::string_view client_id) {
  return error_response(404, fmt::format("no client '{}' is connected", client_id));
}

}  // namespace

void ClientsApi::add_to(Api& api) {
  api.add({"GET", "/api/v1/clients", [this](ApiCall call) { list(std::move(call)); }});
  api.add({"GET", "/api/v1/clients/{id}", [this](ApiCall call) { show(std::move(call)); }});
  api.add({"DELETE", "/api/v1/clients/{id}", [this](ApiCall call) { kick(std::move(call)); }});
}

void ClientsApi::ask_all(const Request& request, Task done) {
  struct Asked {
    std::size_t open;
    Task done;
  };
  const auto asked = std::make_shared<Asked>(Asked{servers_.size(), std::move(done)});
  for (std::size_t i = 0; i < servers_.size(); ++i)
    runtime::ask(
        mailboxes_, ShardId{0}, ShardId{static_cast<std::uint32_t>(i)},
        [i, server = servers_[i], request](Task reply) {
          request(i, server->clients(), std::move(reply));
        },
        [asked] {
          if (--asked->open == 0) asked->done();
        });
}

void ClientsApi::list(ApiCall call) {
  const auto query = page_in(call.query, page_max);
  if (!query) return call.respond(error_response(query.error()));
  const auto pages = std::make_shared<std::vector<ClientPage>>(servers_.size());
  ask_all(
      [pages, query = *query](std::size_t shard, const mqtt::Clients& clients, Task reply) {
        clients.list(query, [pages, shard, reply = std::move(reply)](ClientPage page) mutable {
          (*pages)[shard] = std::move(page);
          reply();
        });
      },
      [pages, limit = query->limit, respond = std::move(call.respond)]() mutable {
        respond(json_response(200, merged_json(*pages, limit)));
      });
}

void ClientsApi::show(ApiCall call) {
  const auto found = std::make_shared<std::vector<std::optional<ClientState>>>(servers_.size());
  ask_all(
      [found, id = call.parameters[0]](std::size_t shard, const mqtt::Clients& clients,
                                       Task reply) {
        clients.show(id, [found, shard,
                          reply = std::move(reply)](std::optional<ClientState> client) mutable {
          (*found)[shard] = std::move(client);
          reply();
        });
      },
      [found, id = call.parameters[0], respond = std::move(call.respond)]() mutable {
        for (const auto& client : *found)
          if (client) return respond(json_response(200, details_json(*client)));
        respond(no_such_client(id));
      });
}

void ClientsApi::kick(ApiCall call) {
  // A byte each: shards write at the same time.
  const auto found = std::make_shared<std::vector<char>>(servers_.size());
  ask_all(
      [found, id = call.parameters[0]](std::size_t shard, const mqtt::Clients& clients,
                                       Task reply) {
        clients.kick(id, "ended by an administrator",
                     [found, shard, reply = std::move(reply)](bool was_there) mutable {
                       (*found)[shard] = was_there ? 1 : 0;
                       reply();
                     });
      },
      [found, id = call.parameters[0], user = std::move(call.user),
       respond = std::move(call.respond)]() mutable {
        if (std::ranges::count(*found, 1) == 0) return respond(no_such_client(id));
        logger.info("client kicked", {{"client", id}, {"by", user}});
        respond({.status = 204});
      });
}

}  // namespace sluice::server
