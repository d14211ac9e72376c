#include "server/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "cli/json.h"
#include "server/process_metrics.h"

namespace sluice::server {
namespace {

constexpr std::string_view json_type = "application/json";

http::Response ready_response(const Reasons& reasons) {
  http::Response response;
  response.status = reasons.empty() ? 200 : 503;
  response.content_type = json_type;
  std::vector<std::string> quoted;
  for (const std::string& reason : reasons) quoted.push_back(cli::json_string(reason));
  response.body = cli::JsonObject()
                      .add("ready", reasons.empty())
                      .add_raw("reasons", fmt::format("[{}]", fmt::join(quoted, ",")))
                      .str() +
                  '\n';
  return response;
}

}  // namespace

Admin::Admin(access::Access& access, std::vector<Metrics*> registries, Readiness readiness)
    : access_(access), registries_(std::move(registries)), readiness_(std::move(readiness)) {}

void Admin::on_request(const http::Request& request, http::Respond respond) {
  struct Route {
    std::string_view path;
    void (Admin::*answer)(http::Respond);
  };
  static constexpr std::array routes{Route{"/metrics", &Admin::metrics},
                                     Route{"/healthz", &Admin::health},
                                     Route{"/readyz", &Admin::ready}};

  const auto route = std::ranges::find(routes, request.path, &Route::path);
  if (route == routes.end())
    return respond(http::plain_response(404, "there are /metrics, /healthz and /readyz"));
  if (request.method != "GET" && request.method != "HEAD") {
    http::Response refused = http::plain_response(405, "GET or HEAD");
    refused.headers.emplace_back("Allow", "GET, HEAD");
    return respond(std::move(refused));
  }
  if (const auto allowed = check_access(request); !allowed)
    return respond(http::plain_response(403, allowed.error().text));
  (this->*route->answer)(std::move(respond));
}

Result<void> Admin::check_access(const http::Request& request) {
  access::Login login{};
  login.protocol = "http";
  login.peer = request.peer;
  SLUICE_TRY_ASSIGN(const access::Principal principal, access_.authenticate(login));
  return access_.check(principal, access::Action::administer, "");
}

void Admin::metrics(http::Respond respond) {
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = Metrics::render(registries_) + process_metrics();
  respond(std::move(response));
}

void Admin::health(http::Respond respond) {
  http::Response response;
  response.content_type = json_type;
  response.body = "{\"alive\":true}\n";
  respond(std::move(response));
}

void Admin::ready(http::Respond respond) {
  readiness_([respond = std::move(respond)](const Reasons& reasons) mutable {
    respond(ready_response(reasons));
  });
}

}  // namespace sluice::server
