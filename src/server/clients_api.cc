#include "server/clients_api.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/start_point.h"
#include "runtime/ask.h"
#include "server/client_json.h"

namespace sluice::server {

namespace {

using mqtt::ClientPage;
using mqtt::ClientState;

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

JsonObject details_json(const ClientState& client) {
  JsonObject out = summary_json(client);
  if (client.packet_max != 0) out.add("packet_size_max", client.packet_max);
  if (client.will)
    out.add_raw("will", JsonObject()
                            .add("topic", client.will->topic)
                            .add("qos", client.will->qos)
                            .add("retain", client.will->retain)
                            .add("delay_s", client.will->delay_s)
                            .str());
  out.add_raw("subscriptions", subscriptions_json(client.subscriber.subscriptions))
      .add_raw("behind", json_array(client.subscriber.behind, behind_json))
      .add_raw("lost", lost_json(client.lost))
      .add("waits_for_retained", client.subscriber.waits_for_retained);
  return out;
}

// The lowest ids of all shards. A client id that is being taken over may be on two.
JsonObject merged_json(std::vector<ClientPage>& pages, std::size_t limit) {
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

  JsonObject out;
  out.add_raw(
         "clients",
         json_array(clients, [](const ClientState& client) { return summary_json(client).str(); }))
      .add("connections", total);
  if (has_more && !clients.empty()) out.add("next", clients.back().client_id);
  return out;
}

}  // namespace

template <class T>
void ClientsApi::ask_all(const Request<T>& request,
                         std::move_only_function<void(std::vector<T>)> done) {
  struct Asked {
    std::size_t open;
    std::vector<T> answers;
    std::move_only_function<void(std::vector<T>)> done;
  };
  const auto asked = std::make_shared<Asked>(
      Asked{servers_.size(), std::vector<T>(servers_.size()), std::move(done)});
  for (std::size_t i = 0; i < servers_.size(); ++i)
    runtime::ask(
        mailboxes_, ShardId{0}, ShardId{static_cast<std::uint32_t>(i)},
        [server = servers_[i], request, &answer = asked->answers[i]](Task reply) {
          request(server->clients(), [&answer, reply = std::move(reply)](T value) mutable {
            answer = std::move(value);
            reply();
          });
        },
        [asked] {
          if (--asked->open == 0) asked->done(std::move(asked->answers));
        });
}

void ClientsApi::list(const PageQuery& query, Done<JsonObject> done) {
  ask_all<ClientPage>(
      [query](const mqtt::Clients& clients, auto answer) {
        clients.list(query, std::move(answer));
      },
      [limit = query.limit, done = std::move(done)](std::vector<ClientPage> pages) mutable {
        done(merged_json(pages, limit));
      });
}

void ClientsApi::show(const std::string& id, Done<std::optional<JsonObject>> done) {
  using Found = std::optional<ClientState>;
  ask_all<Found>(
      [id](const mqtt::Clients& clients, auto answer) { clients.show(id, std::move(answer)); },
      [done = std::move(done)](const std::vector<Found>& found) mutable {
        for (const Found& client : found)
          if (client) return done(details_json(*client));
        done(std::nullopt);
      });
}

void ClientsApi::remove(const std::string& id, Done<bool> done) {
  // A byte each, as shards write at the same time: no vector of bool.
  ask_all<char>(
      [id](const mqtt::Clients& clients, auto answer) {
        clients.kick(id, "ended by an administrator", std::move(answer));
      },
      [done = std::move(done)](const std::vector<char>& was_there) mutable {
        done(std::ranges::count(was_there, 0) < std::ssize(was_there));
      });
}

}  // namespace sluice::server
