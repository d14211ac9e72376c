#include "cli/admin_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "base/json.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

constexpr std::int64_t page_size = 1000;  // the most that a hub gives at once
constexpr std::int64_t limit_default = 1000;

std::string path_of(std::string_view name, std::string_view id) {
  return fmt::format("/api/v1/{}/{}", name, percent_encode(id));
}

std::string options_text(const JsonFields& subscription) {
  std::string text;
  if (subscription.flag("no_local")) text += " no-local";
  if (subscription.flag("retain_as_published")) text += " retain-as-published";
  if (subscription.has("subscription_id"))
    text += fmt::format(" id={}", subscription.number("subscription_id"));
  return text.empty() ? "-" : text.substr(1);
}

}  // namespace

std::vector<Flag> listing_flags(std::string_view filter_text) {
  return with_admin({{"filter", 'f', "TEXT", filter_text},
                     {"limit", 'n', "N", "At most so many; 1000 unless given"},
                     output_flag});
}

Result<std::string> for_each_listed(const AdminClient& hub, std::string_view name,
                                    std::string_view filter, std::int64_t limit,
                                    const std::function<void(const JsonFields&)>& visit) {
  std::string after;
  for (std::int64_t left = limit; left > 0; left -= page_size) {
    SLUICE_TRY_ASSIGN(const std::string body,
                      hub.get(fmt::format("/api/v1/{}?limit={}&filter={}&after={}", name,
                                          std::min(left, page_size), percent_encode(filter),
                                          percent_encode(after))));
    SLUICE_TRY_ASSIGN(const auto page, parse_object(body));
    JsonFields(page).for_each(name, visit);
    after = JsonFields(page).text("next");
    if (after.empty()) break;
  }
  return after;
}

Result<void> print_list(const Arguments& arguments, const Listing& listing) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const auto limit,
                    arguments.integer_or("limit", limit_default, 1, 1'000'000'000));
  SLUICE_TRY_ASSIGN(const AdminClient hub, AdminClient::open(arguments));
  std::vector<Row> rows{listing.heading};
  SLUICE_TRY_ASSIGN(const std::string more,
                    for_each_listed(hub, listing.name, arguments.last_or("filter", ""), limit,
                                    [&](const JsonFields& one) {
                                      if (output == Output::json) print_line(to_json(one.object()));
                                      if (output == Output::table) rows.push_back(listing.row(one));
                                    }));
  if (output == Output::table) fmt::print("{}", format_table(rows));
  if (!more.empty())
    fmt::print(stderr, "sluice: there are more than {}: --limit N, or --filter TEXT\n", limit);
  return {};
}

Result<void> print_one(const Arguments& arguments, std::string_view name, std::string_view id,
                       const std::function<void(const JsonFields&)>& print) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const AdminClient hub, AdminClient::open(arguments));
  SLUICE_TRY_ASSIGN(const std::string body, hub.get(path_of(name, id)));
  SLUICE_TRY_ASSIGN(const auto object, parse_object(body));
  if (output == Output::json)
    print_line(to_json(object));
  else
    print(JsonFields(object));
  return {};
}

Result<void> remove_each(const Arguments& arguments, std::string_view name,
                         std::span<const std::string> ids, std::string_view done) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const AdminClient hub, AdminClient::open(arguments));
  for (const std::string& id : ids) {
    SLUICE_TRY(hub.remove(path_of(name, id)));
    print_line(output == Output::json ? JsonObject().add(done, id).str()
                                      : fmt::format("{} {}", done, printable(id)));
  }
  return {};
}

void print_subscriptions(const JsonFields& object) {
  std::vector<Row> rows{{"FILTER", "QOS", "OPTIONS"}};
  object.for_each("subscriptions", [&](const JsonFields& one) {
    rows.push_back(
        {printable(one.text("filter")), std::to_string(one.number("qos")), options_text(one)});
  });
  const std::int64_t count = object.number("subscription_count");
  if (rows.size() > 1) fmt::print("\n{}", format_table(rows));
  if (count >= static_cast<std::int64_t>(rows.size())) fmt::print("... {} filters in all\n", count);
}

std::string behind_text(std::int64_t records, std::int64_t lost) {
  std::string text = fmt::format("{} records of the log to be looked at", records);
  if (lost > 0) text += fmt::format("; lost to retention: {}", lost);
  return text;
}

std::string number_or_mark(const JsonFields& object, std::string_view name) {
  return object.has(name) ? std::to_string(object.number(name)) : "?";
}

std::string oldest_text(const JsonFields& group) {
  const auto* oldest = group.find("oldest");
  if (oldest == nullptr || !oldest->is_object()) return "-";
  const JsonFields fields(oldest->get_object());
  return fmt::format("{}/{}@{}", fields.text("stream"), fields.number("partition"),
                     fields.number("offset"));
}

std::string lost_text(const JsonFields& object) {
  const auto* lost = object.find("lost");
  if (lost == nullptr || !lost->is_object()) return "nothing";
  const JsonFields fields(lost->get_object());
  const std::int64_t retention = fields.number("retention");
  const std::int64_t lag_limit = fields.number("lag_limit");
  if (retention + lag_limit == 0) return "nothing";
  return fmt::format("{} records of the log to retention, {} to its lag limit", retention,
                     lag_limit);
}

std::string to_the_second(std::string_view time) {
  return fmt::format("{}Z", time.substr(0, std::string_view("2024-05-01T12:00:00").size()));
}

}  // namespace sluice::cli
