#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/page_query.h"
#include "base/result.h"
#include "http/server.h"
#include "http/target.h"

namespace sluice::server {

// A request of somebody who may administer, taken apart.
struct ApiCall {
  std::vector<std::string> parameters;  // what stood for {...} in the path
  http::Query query;
  std::string user;  // who asks
  http::Respond respond;
};

// `path` holds levels in braces: "/api/v1/clients/{id}".
struct ApiRoute {
  std::string_view method;
  std::string path;
  std::function<void(ApiCall)> answer;
};

// The administrators' HTTP API: a table of routes. What it offers: docs/reference/admin-api.md. No
// login here: Admin has asked for it.
class Api {
 public:
  static constexpr std::string_view prefix = "/api/";

  // Until the hub serves, and when it stops, all is answered with 503.
  explicit Api(std::function<bool()> is_serving) : is_serving_(std::move(is_serving)) {}
  void add(ApiRoute route) { routes_.push_back(std::move(route)); }
  // 404 for a path that is not there, 405 for a method, 400 for a bad escape.
  void on_request(const http::Request& request, std::string user, http::Respond respond) const;

 private:
  std::function<bool()> is_serving_;
  std::vector<ApiRoute> routes_;
};

http::Response json_response(int status, std::string body);
// {"error": text}
http::Response error_response(int status, std::string_view text);
// The same with the status that fits the error.
http::Response error_response(const Error& error);

// A whole number in a query, or `otherwise`. Errc::invalid names it and the range.
Result<std::int64_t> number_in(const http::Query& query, std::string_view name,
                               std::int64_t otherwise, std::int64_t min, std::int64_t max);
// limit (1 to `limit_max`, else 100), after and filter of a query that takes nothing else.
// Errc::invalid names what is wrong.
Result<PageQuery> page_in(const http::Query& query, std::int64_t limit_max);
// Errc::invalid names a word of the query that is not among `known`.
Result<void> check_names(const http::Query& query, std::initializer_list<std::string_view> known);

}  // namespace sluice::server
