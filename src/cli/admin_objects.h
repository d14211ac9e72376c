#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/json_fields.h"

namespace sluice::cli {

// What the commands have in common that list, show and end things of the admin API by their ids:
// `client`, `session` and `queue`.

using Row = std::vector<std::string>;

// A list of the API at /api/v1/<name>.
struct Listing {
  std::string_view name;
  Row heading;
  std::function<Row(const JsonFields&)> row;
};
// --filter, --limit, those of the login and of the output.
std::vector<Flag> listing_flags(std::string_view filter_text);
// Page by page. Says on stderr when there are more than --limit.
Result<void> print_list(const Arguments& arguments, const Listing& listing);
// Calls `visit` for the first `limit` of those at /api/v1/<name> whose ids contain `filter`.
// Returns the id behind which there are more; empty: that was all.
Result<std::string> for_each_listed(const AdminClient& hub, std::string_view name,
                                    std::string_view filter, std::int64_t limit,
                                    const std::function<void(const JsonFields&)>& visit);
// The one with this id: as JSON, or by `print`.
Result<void> print_one(const Arguments& arguments, std::string_view name, std::string_view id,
                       const std::function<void(const JsonFields&)>& print);
// Ends those with these ids, one after another; `done` says what they are then.
Result<void> remove_each(const Arguments& arguments, std::string_view name,
                         std::span<const std::string> ids, std::string_view done);

// The table of an object's `subscriptions`, if it has any, and how many there are if not all are
// shown.
void print_subscriptions(const JsonFields& object);
// How much of the log is still to come to somebody, and how much of it retention has taken.
std::string behind_text(std::int64_t records, std::int64_t lost);
// A number that the log may not have answered for.
std::string number_or_mark(const JsonFields& object, std::string_view name);
// An object's `oldest`: "stream/partition@offset", or "-".
std::string oldest_text(const JsonFields& group);
// An object's `lost`.
std::string lost_text(const JsonFields& object);
// "2024-05-01T12:00:00.000Z" without what follows the seconds.
std::string to_the_second(std::string_view time);

}  // namespace sluice::cli
