#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/json_fields.h"
#include "cli/output.h"
#include "cli/trace_text.h"

namespace sluice::cli {
namespace {

constexpr std::int64_t seconds_default = 600;
constexpr std::int64_t seconds_max = 86'400;
constexpr std::size_t payload_shown = 64;  // bytes

Result<bool> wants_json(const Arguments& arguments) {
  const std::string_view format = arguments.last_or("output", "text");
  if (format == "text") return false;
  if (format == "json") return true;
  return fail(Errc::invalid, "--output: '{}' is neither text nor json", format);
}

Result<void> trace(const Arguments& arguments, std::string_view by) {
  SLUICE_TRY_ASSIGN(const bool json, wants_json(arguments));
  SLUICE_TRY_ASSIGN(const auto seconds,
                    arguments.integer_or("seconds", seconds_default, 1, seconds_max));
  SLUICE_TRY_ASSIGN(const AdminClient hub, AdminClient::open(arguments));
  const Interrupt interrupt;
  TraceText text;
  bool is_over = false;
  const auto show = [&](std::string_view line) {
    const auto event = parse_object(line);
    if (!event) return true;
    is_over = JsonFields(*event).text("event") == "end";
    print_line(json ? line : text.line(JsonFields(*event)));
    return true;
  };
  SLUICE_TRY(hub.follow(fmt::format("/api/v1/trace?{}={}&seconds={}&payload={}", by,
                                    percent_encode(arguments.positional[0]), seconds,
                                    arguments.has("payload") ? payload_shown : 0),
                        show));
  if (!is_over && !Interrupt::requested()) return fail(Errc::closed, "the hub has ended the trace");
  return {};
}

}  // namespace

std::vector<Command> trace_commands() {
  const std::vector<Flag> flags = with_admin(
      {{"seconds", 's', "N", "End after so long; 600 unless given, at most 86400"},
       {"payload", 'p', "", "Show the first 64 bytes of payloads"},
       {"output", 'o', "FORMAT", "text (default) or json: the hub's events, one a line"}});
  return {
      {"trace client", "ID", 1, 1, "Show live what happens to one client",
       "Its packets in (<-) and out (->), logins, refusals, what was stored where, what was not "
       "delivered and why. It need not be connected yet. Ctrl-C ends the trace; a hub runs at most "
       "4. If the terminal is too slow, events are left out, and how many is said.",
       flags, [](const Arguments& arguments) { return trace(arguments, "client"); }},
      {"trace topic", "FILTER", 1, 1, "Show live what becomes of messages",
       "Of each message whose topic the MQTT filter covers: who publishes it, where it is stored, "
       "how many subscribers match, which of them get it, and which do not and why. Quote filters: "
       "'sensors/#'.",
       flags, [](const Arguments& arguments) { return trace(arguments, "topic"); }},
      {"trace ip", "ADDRESS", 1, 1, "Show live what happens to the clients of one address",
       "As 'trace client', for all connections from an IPv4 or IPv6 address, also those that get "
       "no "
       "further than a login.",
       flags, [](const Arguments& arguments) { return trace(arguments, "ip"); }},
  };
}

}  // namespace sluice::cli
