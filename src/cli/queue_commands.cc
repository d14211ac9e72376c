#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdint>
#include <limits>

#include "cli/admin_client.h"
#include "cli/admin_objects.h"
#include "cli/commands.h"
#include "cli/json_fields.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

constexpr std::string_view api_name = "queues";

Row row_of(const JsonFields& queue) {
  return {printable(queue.text("name")),
          queue.text("kind"),
          printable(queue.text("filter")),
          std::to_string(queue.number("member_count")),
          std::to_string(queue.number("records")),
          std::to_string(queue.number("unacknowledged")),
          oldest_text(queue)};
}

Result<void> list(const Arguments& arguments) {
  return print_list(
      arguments, {.name = api_name,
                  .heading = {"NAME", "KIND", "FILTER", "MEMBERS", "BEHIND", "UNACKED", "OLDEST"},
                  .row = row_of});
}

// --- which one

// The ids of those with this name, and this filter if it is given.
Result<std::vector<std::string>> find_named(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional;
  SLUICE_TRY_ASSIGN(const AdminClient hub, AdminClient::open(arguments));
  std::vector<std::string> ids;
  SLUICE_TRY(for_each_listed(hub, api_name, fmt::format("/{}/", words[0]),
                             std::numeric_limits<std::int64_t>::max(), [&](const JsonFields& one) {
                               const bool fits =
                                   one.text("name") == words[0] &&
                                   (words.size() == 1 || one.text("filter") == words[1]);
                               if (fits) ids.push_back(one.text("id"));
                             }));
  return ids;
}

// A first word that begins with '$' is what clients subscribe to; else it is the name between.
Result<std::string> find_id(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional;
  if (words[0].starts_with('$')) {
    if (words.size() == 1) return words[0];
    return fail(Errc::invalid, "FILTER: '{}' has one already", words[0]);
  }
  SLUICE_TRY_ASSIGN(const auto ids, find_named(arguments));
  if (ids.size() == 1) return ids[0];
  if (!ids.empty())
    return fail(Errc::exists, "'{}' are {}: say which one in full", fmt::join(words, " "),
                fmt::join(ids, ", "));
  return fail(Errc::not_found, "there is no queue or shared subscription '{}'",
              fmt::join(words, " "));
}

// --- show

std::string sessions_text(const JsonFields& queue) {
  const std::int64_t count = queue.number("session_count");
  if (count == 0) return "none";
  std::string text = std::to_string(count);
  const auto* sessions = queue.find("sessions");
  if (sessions == nullptr || !sessions->is_array()) return text;
  std::string_view separator = ": ";
  for (const auto& client_id : sessions->get_array()) {
    if (!client_id.is_string()) continue;
    text += separator;
    const auto& id = client_id.get_string();
    text += printable({id.data(), id.size()});
    separator = ", ";
  }
  return text;
}

void print_members(const JsonFields& queue) {
  std::vector<Row> members{{"CLIENT", "QOS", "IN FLIGHT", "STATE"}};
  queue.for_each("members", [&](const JsonFields& one) {
    members.push_back({printable(one.text("client_id")), std::to_string(one.number("qos")),
                       std::to_string(one.number("in_flight")), one.text("state")});
  });
  if (members.size() > 1) fmt::print("\n{}", format_table(members));
  const std::int64_t count = queue.number("member_count");
  if (count >= static_cast<std::int64_t>(members.size()))
    fmt::print("... {} members in all\n", count);
}

void print_queue(const JsonFields& queue) {
  const std::vector<Row> facts{
      {"name", printable(queue.text("name"))},
      {"kind", queue.text("kind")},
      {"filter", printable(queue.text("filter"))},
      {"members", std::to_string(queue.number("member_count"))},
      {"stored sessions", sessions_text(queue)},
      {"behind", behind_text(queue.number("records"), queue.number("lost_to_retention"))},
      {"not acknowledged", std::to_string(queue.number("unacknowledged"))}};
  fmt::print("{}", format_table(facts));
  print_members(queue);

  std::vector<Row> positions{
      {"STREAM", "PARTITION", "NEXT", "END", "RECORDS", "UNACKED", "OLDEST", "LOST"}};
  queue.for_each("positions", [&](const JsonFields& one) {
    positions.push_back({one.text("stream"), std::to_string(one.number("partition")),
                         std::to_string(one.number("next")), number_or_mark(one, "end"),
                         number_or_mark(one, "records"),
                         std::to_string(one.number("unacknowledged")),
                         one.has("oldest") ? std::to_string(one.number("oldest")) : "-",
                         number_or_mark(one, "lost_to_retention")});
  });
  if (positions.size() > 1) fmt::print("\n{}", format_table(positions));
}

Result<void> show(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const std::string id, find_id(arguments));
  return print_one(arguments, api_name, id, print_queue);
}

Result<void> remove(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const std::string id, find_id(arguments));
  return remove_each(arguments, api_name, std::array{id}, "deleted");
}

}  // namespace

std::vector<Command> queue_commands() {
  const std::vector<Flag> common = with_admin({output_flag});
  return {
      {"queue list", "", 0, 0, "List the queues and shared subscriptions of MQTT clients",
       "KIND: `queue` is a '$queue/NAME/FILTER', which lasts until it is deleted; `share` a "
       "'$share/NAME/FILTER', which lasts as long as it has members or a stored session has it. "
       "BEHIND: records of the log up to the end, whether they match or not. UNACKED: messages "
       "that were given to a member and are not acknowledged, or came back from one that went. "
       "OLDEST: the oldest of them, as stream/partition@offset.",
       listing_flags("Only those whose $queue/NAME/FILTER or $share/NAME/FILTER contains it"),
       list},
      {"queue show", "NAME [FILTER]", 1, 2, "Show all that is known of a queue",
       "Or of a shared subscription. NAME is the one between '$queue/' and the filter, or all of "
       "what clients subscribe to: '$queue/NAME/FILTER', in quotes. FILTER is needed where several "
       "have the name. With its members and what they have in flight, the stored sessions that "
       "have it, and a line per partition: NEXT is where it goes on, RECORDS are those up to the "
       "end, UNACKED and OLDEST the messages before NEXT that are not acknowledged, LOST those "
       "that retention has taken before anybody was given them.",
       common, show},
      {"queue delete", "NAME [FILTER]", 1, 2, "Delete a queue",
       "What nobody has got by then nobody gets, and who subscribes next begins it anew. Refused "
       "while clients are subscribed to it, or stored sessions have it: 'sluice client kick' and "
       "'sluice session delete' end these. A shared subscription goes with the last of them by "
       "itself.",
       common, remove},
  };
}

}  // namespace sluice::cli
