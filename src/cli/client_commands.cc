#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/json.h"
#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/json_fields.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

constexpr std::int64_t page_size = 1000;  // the most that a hub gives at once
constexpr std::int64_t limit_default = 1000;

using Rows = std::vector<std::vector<std::string>>;

std::string path_of(std::string_view client_id) {
  return "/api/v1/clients/" + percent_encode(client_id);
}

std::string since(const JsonFields& client) {
  // To the second: "2024-05-01T12:00:00.000Z" without what follows the seconds.
  return client.text("connected_since").substr(0, 19) + 'Z';
}

std::vector<std::string> row_of(const JsonFields& client) {
  return {printable(client.text("client_id")),
          printable(client.text("user")),
          client.text("peer"),
          client.text("version"),
          since(client),
          std::to_string(client.number("subscription_count")),
          fmt::format("{}/{}", client.number("in_flight_from"), client.number("in_flight_to")),
          client.flag("lagging") ? "lagging" : "ok"};
}

Result<void> list(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const auto limit,
                    arguments.integer_or("limit", limit_default, 1, 1'000'000'000));
  SLUICE_TRY_ASSIGN(const AdminClient hub, AdminClient::open(arguments));
  const std::string filter = percent_encode(arguments.last_or("filter", ""));
  Rows rows{{"CLIENT", "USER", "PEER", "MQTT", "SINCE", "FILTERS", "IN FLIGHT", "STATE"}};
  std::string after;
  for (std::int64_t left = limit; left > 0;) {
    const std::int64_t size = std::min(left, page_size);
    SLUICE_TRY_ASSIGN(const std::string body,
                      hub.get(fmt::format("/api/v1/clients?limit={}&filter={}&after={}", size,
                                          filter, percent_encode(after))));
    SLUICE_TRY_ASSIGN(const auto page, parse_object(body));
    JsonFields(page).for_each("clients", [&](const JsonFields& client) {
      if (output == Output::json) print_line(to_json(client.object()));
      if (output == Output::table) rows.push_back(row_of(client));
    });
    after = JsonFields(page).text("next");
    if (after.empty()) break;
    left -= size;
  }
  if (output == Output::table) fmt::print("{}", format_table(rows));
  if (!after.empty())
    fmt::print(stderr, "sluice: there are more than {}: --limit N, or --filter TEXT\n", limit);
  return {};
}

// --- show

std::string session_text(const JsonFields& client) {
  const std::int64_t keep_alive = client.number("keep_alive_s");
  return fmt::format(
      "{}, {}", client.flag("clean_start") ? "clean start" : "asked to be resumed",
      keep_alive == 0 ? "no keep-alive" : fmt::format("keep-alive {} s", keep_alive));
}

std::string will_text(const JsonFields& client) {
  const auto* will = client.find("will");
  if (will == nullptr || !will->is_object()) return "none";
  const JsonFields fields(will->get_object());
  return fmt::format("to {} at QoS {}{}, after {} s", printable(fields.text("topic")),
                     fields.number("qos"), fields.flag("retain") ? ", retained" : "",
                     fields.number("delay_s"));
}

std::string state_text(const JsonFields& client) {
  std::int64_t records = 0;
  client.for_each("behind", [&](const JsonFields& one) { records += one.number("records"); });
  std::string text = client.flag("lagging") ? "lagging: it takes no more at the moment" : "ok";
  if (records > 0) text += fmt::format("; {} records of the log to be looked at", records);
  if (client.flag("waits_for_retained")) text += "; retained messages are still to come";
  return text;
}

std::string options_text(const JsonFields& subscription) {
  std::string text;
  if (subscription.flag("no_local")) text += " no-local";
  if (subscription.flag("retain_as_published")) text += " retain-as-published";
  if (subscription.has("subscription_id"))
    text += fmt::format(" id={}", subscription.number("subscription_id"));
  return text.empty() ? "-" : text.substr(1);
}

void print_client(const JsonFields& client) {
  Rows facts{
      {"client", printable(client.text("client_id"))},
      {"user", printable(client.text("user"))},
      {"protocol", "MQTT " + client.text("version")},
      {"peer", client.text("peer")},
      {"listener", fmt::format("{} ({})", client.text("listener"), client.text("transport"))},
      {"connected since", since(client)},
      {"session", session_text(client)},
      {"will", will_text(client)},
      {"published", fmt::format("{} messages", client.number("published"))},
      {"in flight", fmt::format("{} from it, {} to it", client.number("in_flight_from"),
                                client.number("in_flight_to"))},
      {"waiting for it", fmt::format("{} bytes", client.number("bytes_waiting"))},
      {"state", state_text(client)}};
  fmt::print("{}", format_table(facts));

  Rows subscriptions{{"FILTER", "QOS", "OPTIONS"}};
  client.for_each("subscriptions", [&](const JsonFields& one) {
    subscriptions.push_back(
        {printable(one.text("filter")), std::to_string(one.number("qos")), options_text(one)});
  });
  const std::int64_t count = client.number("subscription_count");
  if (subscriptions.size() > 1) fmt::print("\n{}", format_table(subscriptions));
  if (count >= static_cast<std::int64_t>(subscriptions.size()))
    fmt::print("... {} filters in all\n", count);

  Rows behind{{"STREAM", "PARTITION", "NEXT", "END", "RECORDS"}};
  client.for_each("behind", [&](const JsonFields& one) {
    behind.push_back({one.text("stream"), std::to_string(one.number("partition")),
                      std::to_string(one.number("next")), std::to_string(one.number("end")),
                      std::to_string(one.number("records"))});
  });
  if (behind.size() > 1) fmt::print("\n{}", format_table(behind));
}

Result<void> show(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const AdminClient hub, AdminClient::open(arguments));
  SLUICE_TRY_ASSIGN(const std::string body, hub.get(path_of(arguments.positional[0])));
  SLUICE_TRY_ASSIGN(const auto client, parse_object(body));
  if (output == Output::json)
    print_line(to_json(client));
  else
    print_client(JsonFields(client));
  return {};
}

// --- kick

Result<void> kick(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const AdminClient hub, AdminClient::open(arguments));
  for (const std::string& client_id : arguments.positional) {
    SLUICE_TRY(hub.remove(path_of(client_id)));
    print_line(output == Output::json ? JsonObject().add("kicked", client_id).str()
                                      : fmt::format("kicked {}", printable(client_id)));
  }
  return {};
}

}  // namespace

std::vector<Command> client_commands() {
  const std::vector<Flag> common = with_admin({output_flag});
  const std::vector<Flag> listing =
      with_admin({{"filter", 'f', "TEXT", "Only clients whose id contains it"},
                  {"limit", 'n', "N", "At most so many; 1000 unless given"},
                  output_flag});
  return {
      {"client list", "", 0, 0, "List the connected clients",
       "In the order of their ids. IN FLIGHT: messages under way from and to the client. A client "
       "that lags takes no more at the moment, and is served from the log when it does.",
       listing, list},
      {"client show", "ID", 1, 1, "Show all that is known of a connected client",
       "With its subscriptions, and where it reads the log if it is behind. What happens to it now "
       "shows 'sluice trace client ID'.",
       common, show},
      {"client kick", "ID...", 1, 1000, "End the connections of clients",
       "MQTT 5 clients are told why (DISCONNECT 0x98, administrative action); their wills are "
       "published. Clients are free to come again.",
       common, kick},
  };
}

}  // namespace sluice::cli
