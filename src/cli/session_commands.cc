#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/admin_objects.h"
#include "cli/commands.h"
#include "cli/json_fields.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

constexpr std::string_view api_name = "sessions";

std::string time_or_dash(const JsonFields& session, std::string_view name) {
  return session.has(name) ? to_the_second(session.text(name)) : "-";
}

Row row_of(const JsonFields& session) {
  const bool connected = session.flag("connected");
  return {printable(session.text("client_id")), connected ? "connected" : "away",
          time_or_dash(session, "away_since"),
          session.has("expiry_s") ? time_or_dash(session, "expires") : "never",
          session.flag("has_will") ? "yes" : "-"};
}

Result<void> list(const Arguments& arguments) {
  return print_list(arguments, {.name = api_name,
                                .heading = {"CLIENT", "STATE", "AWAY SINCE", "EXPIRES", "WILL"},
                                .row = row_of});
}

// --- show

std::string state_text(const JsonFields& session) {
  if (session.flag("connected"))
    return "connected; what follows is as it was saved, seconds ago at most";
  return fmt::format("away since {}{}", to_the_second(session.text("away_since")),
                     session.flag("crashed") ? ", when the hub was killed or crashed" : "");
}

std::string expiry_text(const JsonFields& session) {
  if (!session.has("expiry_s")) return "never";
  if (session.has("expires")) return to_the_second(session.text("expires"));
  return fmt::format("{} s after its connection", session.number("expiry_s"));
}

std::string positions_text(const JsonFields& session) {
  std::int64_t records = 0;
  std::int64_t lost = 0;
  session.for_each("positions", [&](const JsonFields& one) {
    records += one.number("records");
    lost += one.number("lost_to_retention");
  });
  return behind_text(records, lost);
}

void print_groups(const JsonFields& session) {
  std::vector<Row> groups{{"GROUP", "MEMBERS", "BEHIND", "UNACKED", "OLDEST"}};
  session.for_each("groups", [&](const JsonFields& one) {
    groups.push_back({printable(one.text("id")), std::to_string(one.number("member_count")),
                      std::to_string(one.number("records")),
                      std::to_string(one.number("unacknowledged")), oldest_text(one)});
  });
  if (groups.size() > 1) fmt::print("\n{}", format_table(groups));
}

void print_session(const JsonFields& session) {
  const std::vector<Row> facts{
      {"client", printable(session.text("client_id"))},
      {"state", state_text(session)},
      {"expires", expiry_text(session)},
      {"will", session.flag("has_will") ? "yes" : "none"},
      {"in flight", fmt::format("{} from it, {} to it", session.number("in_flight_from"),
                                session.number("in_flight_to"))},
      {"behind", positions_text(session)},
      {"lost so far", lost_text(session)}};
  fmt::print("{}", format_table(facts));
  print_subscriptions(session);

  std::vector<Row> positions{{"STREAM", "PARTITION", "NEXT", "END", "RECORDS", "LOST", "REPLAY"}};
  session.for_each("positions", [&](const JsonFields& one) {
    positions.push_back({one.text("stream"), std::to_string(one.number("partition")),
                         std::to_string(one.number("next")), number_or_mark(one, "end"),
                         number_or_mark(one, "records"), number_or_mark(one, "lost_to_retention"),
                         one.has("replay") ? printable(one.text("replay")) : "-"});
  });
  if (positions.size() > 1) fmt::print("\n{}", format_table(positions));
  print_groups(session);
}

}  // namespace

std::vector<Command> session_commands() {
  const std::vector<Flag> common = with_admin({output_flag});
  return {
      {"session list", "", 0, 0, "List the stored sessions of MQTT clients",
       "In the order of their clients' ids, connected or not. A session without a client goes when "
       "it expires. WILL: one is stored with it, to be published when the client is lost.",
       listing_flags("Only sessions whose client's id contains it"), list},
      {"session show", "ID", 1, 1, "Show all that is known of a client's stored session",
       "With its filters, and how far it is behind in each partition that they cover: NEXT is "
       "where it goes on, RECORDS are those up to the end, whether they match or not, LOST those "
       "that retention has taken before it came to them. REPLAY: the place is that of this one, "
       "beside that of all other filters. Of its shared subscriptions and queues there is a line "
       "each, of the group as a whole; more shows 'sluice queue show'. What a connected client has "
       "come to by now shows 'sluice client show ID'.",
       common,
       [](const Arguments& arguments) {
         return print_one(arguments, api_name, arguments.positional[0], print_session);
       }},
      {"session delete", "ID...", 1, 1000, "Delete the stored sessions of clients",
       "A client that is connected is disconnected first; if it speaks MQTT 5 it is told why "
       "(DISCONNECT 0x98, administrative action). Wills are published. What the client has not got "
       "by then it does not get; it may come again, to a new session.",
       common,
       [](const Arguments& arguments) {
         return remove_each(arguments, api_name, arguments.positional, "deleted");
       }},
  };
}

}  // namespace sluice::cli
