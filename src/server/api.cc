#include "server/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "base/units.h"

namespace sluice::server {

namespace {

Result<std::vector<std::string>> decode_all(const std::vector<std::string_view>& levels) {
  std::vector<std::string> out;
  for (const std::string_view level : levels) {
    SLUICE_TRY_ASSIGN(out.emplace_back(), http::percent_decode(level));
  }
  return out;
}

int status_of(Errc code) {
  switch (code) {
    case Errc::malformed:
    case Errc::invalid:
      return 400;
    case Errc::not_found:
      return 404;
    case Errc::exists:
      return 409;
    case Errc::busy:
      return 429;
    default:
      return 503;
  }
}

}  // namespace

void Api::on_request(const http::Request& request, std::string user, http::Respond respond) const {
  if (!is_serving_()) return respond(error_response(503, "the hub starts or stops; see /readyz"));
  std::vector<std::string_view> allowed;
  for (const ApiRoute& route : routes_) {
    const auto levels = http::match_path(route.path, request.path);
    if (!levels) continue;
    allowed.push_back(route.method);
    if (route.method != request.method) continue;
    auto parameters = decode_all(*levels);
    if (!parameters) return respond(error_response(parameters.error()));
    auto query = http::parse_query(request.query);
    if (!query) return respond(error_response(query.error()));
    return route.answer(
        {std::move(*parameters), std::move(*query), std::move(user), std::move(respond)});
  }
  if (allowed.empty())
    return respond(error_response(404, fmt::format("there is no {}", request.path)));
  const std::string methods = fmt::format("{}", fmt::join(allowed, ", "));
  http::Response refused = error_response(405, fmt::format("{} takes {}", request.path, methods));
  refused.headers.emplace_back("Allow", methods);
  respond(std::move(refused));
}

http::Response json_response(int status, std::string body) {
  return {.status = status, .content_type = "application/json", .body = std::move(body) + '\n'};
}

http::Response error_response(int status, std::string_view text) {
  return json_response(status, JsonObject().add("error", text).str());
}

http::Response error_response(const Error& error) {
  return error_response(status_of(error.code), error.text);
}

Result<std::int64_t> number_in(const http::Query& query, std::string_view name,
                               std::int64_t otherwise, std::int64_t min, std::int64_t max) {
  const auto found = query.find(name);
  if (found == query.end()) return otherwise;
  const auto number = parse_integer(found->second);
  if (!number || *number < min || *number > max)
    return fail(Errc::invalid, "{}: '{}' is not a whole number from {} to {}", name, found->second,
                min, max);
  return *number;
}

Result<PageQuery> page_in(const http::Query& query, std::int64_t limit_max) {
  SLUICE_TRY(check_names(query, {"limit", "after", "filter"}));
  PageQuery page;
  const auto otherwise = static_cast<std::int64_t>(page.limit);
  SLUICE_TRY_ASSIGN(const auto limit, number_in(query, "limit", otherwise, 1, limit_max));
  page.limit = static_cast<std::size_t>(limit);
  if (const auto after = query.find("after"); after != query.end()) page.after = after->second;
  if (const auto text = query.find("filter"); text != query.end()) page.contains = text->second;
  return page;
}

Result<void> check_names(const http::Query& query, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : query)
    if (std::ranges::find(known, name) == known.end())
      return fail(Errc::invalid, "'{}' is none of: {}", name, fmt::join(known, ", "));
  return {};
}

}  // namespace sluice::server
