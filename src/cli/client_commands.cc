#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/admin_objects.h"
#include "cli/commands.h"
#include "cli/json_fields.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

constexpr std::string_view api_name = "clients";

std::string since(const JsonFields& client) {
  return to_the_second(client.text("connected_since"));
}

Row row_of(const JsonFields& client) {
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
  return print_list(arguments, {.name = api_name,
                                .heading = {"CLIENT", "USER", "PEER", "MQTT", "SINCE", "FILTERS",
                                            "IN FLIGHT", "STATE"},
                                .row = row_of});
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

void print_client(const JsonFields& client) {
  const std::vector<Row> facts{
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
      {"state", state_text(client)},
      {"lost", lost_text(client)}};
  fmt::print("{}", format_table(facts));
  print_subscriptions(client);

  std::vector<Row> behind{{"STREAM", "PARTITION", "NEXT", "END", "RECORDS"}};
  client.for_each("behind", [&](const JsonFields& one) {
    behind.push_back({one.text("stream"), std::to_string(one.number("partition")),
                      std::to_string(one.number("next")), std::to_string(one.number("end")),
                      std::to_string(one.number("records"))});
  });
  if (behind.size() > 1) fmt::print("\n{}", format_table(behind));
}

}  // namespace

std::vector<Command> client_commands() {
  const std::vector<Flag> common = with_admin({output_flag});
  return {
      {"client list", "", 0, 0, "List the connected clients",
       "In the order of their ids. IN FLIGHT: messages under way from and to the client. A client "
       "that lags takes no more at the moment, and is served from the log when it does.",
       listing_flags("Only clients whose id contains it"), list},
      {"client show", "ID", 1, 1, "Show all that is known of a connected client",
       "With its subscriptions, and where it reads the log if it is behind. What happens to it now "
       "shows 'sluice trace client ID'.",
       common,
       [](const Arguments& arguments) {
         return print_one(arguments, api_name, arguments.positional[0], print_client);
       }},
      {"client kick", "ID...", 1, 1000, "End the connections of clients",
       "MQTT 5 clients are told why (DISCONNECT 0x98, administrative action); their wills are "
       "published. Clients are free to come again.",
       common,
       [](const Arguments& arguments) {
         return remove_each(arguments, api_name, arguments.positional, "kicked");
       }},
  };
}

}  // namespace sluice::cli
