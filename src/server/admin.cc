#include "server/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/json.h"
#include "server/process_metrics.h"

namespace sluice::server {
namespace {

constexpr std::string_view json_type = "application/json";

http::Response ready_response(const Reasons& reasons) {
  http::Response response;
  response.status = reasons.empty() ? 200 : 503;
  response.content_type = json_type;
  response.body = JsonObject()
                      .add("ready", reasons.empty())
                      .add_raw("reasons", json_array(reasons, json_string))
                      .str() +
                  '\n';
  return response;
}

struct Credentials {
  std::string user;
  std::string password;
};

// RFC 7617. Empty when there are none, or none of this kind.
Credentials basic_credentials(std::string_view header) {
  constexpr std::string_view scheme = "Basic ";
  if (!header.starts_with(scheme)) return {};
  const auto text = access::from_base64(header.substr(scheme.size()));
  const auto colon = text ? text->find(':') : std::string::npos;
  if (colon == std::string::npos) return {};
  return {.user = text->substr(0, colon), .password = text->substr(colon + 1)};
}

// A web page can make a name of its own stand for this machine, and then its browser lets it read
// the answers (DNS rebinding). So whoever shows no login must name the hub by address, or as
// localhost.
bool is_safe_host(std::string_view host) {
  if (host.starts_with('[')) return true;
  const std::string_view name = host.substr(0, host.find(':'));
  return name == "localhost" || name.find_first_not_of("0123456789.") == std::string_view::npos;
}

// In the words of the part that is asked for.
http::Response refusal(const http::Request& request, int status, std::string_view text) {
  return request.path.starts_with(Api::prefix) ? error_response(status, text)
                                               : http::plain_response(status, text);
}

http::Response login_response(const http::Request& request, const Error& error) {
  if (error.code == Errc::busy) return refusal(request, 503, error.text);
  http::Response response = refusal(request, 401, "a user and a password are needed");
  response.headers.emplace_back("WWW-Authenticate", R"(Basic realm="sluice", charset="UTF-8")");
  return response;
}

}  // namespace

Admin::Admin(access::Access& access, const Api& api, std::vector<Metrics*> registries,
             Readiness readiness)
    : access_(access),
      api_(api),
      registries_(std::move(registries)),
      readiness_(std::move(readiness)) {}

void Admin::on_request(const http::Request& request, http::Respond respond) {
  struct Route {
    std::string_view path;
    void (Admin::*answer)(http::Respond);
  };
  static constexpr std::array routes{Route{"/metrics", &Admin::metrics},
                                     Route{"/healthz", &Admin::health},
                                     Route{"/readyz", &Admin::ready}};

  const auto route = std::ranges::find(routes, request.path, &Route::path);
  if (route == routes.end()) return log_in(request, std::move(respond));
  if (request.method != "GET" && request.method != "HEAD") {
    http::Response refused = http::plain_response(405, "GET or HEAD");
    refused.headers.emplace_back("Allow", "GET, HEAD");
    return respond(std::move(refused));
  }
  (this->*route->answer)(std::move(respond));
}

// Not even what there is not is told to everybody.
void Admin::log_in(const http::Request& request, http::Respond respond) {
  if (request.header("Authorization").empty() && !is_safe_host(request.header("Host")))
    return respond(
        refusal(request, 403, "without a login, name the hub by its address or as localhost"));
  const Credentials credentials = basic_credentials(request.header("Authorization"));
  access_.log_in({.protocol = "http",
                  .peer = request.peer,
                  .client_id = {},
                  .user = credentials.user,
                  .password = credentials.password},
                 [this, request, respond = std::move(respond)](
                     const Result<access::Principal>& principal) mutable {
                   if (!principal) return respond(login_response(request, principal.error()));
                   answer(request, *principal, std::move(respond));
                 });
}

void Admin::answer(const http::Request& request, const access::Principal& principal,
                   http::Respond respond) {
  const auto allowed = access_.check(principal, access::Action::administer, {});
  if (!allowed) return respond(refusal(request, 403, allowed.error().text));
  if (request.path.starts_with(Api::prefix))
    return api_.on_request(request, principal.name, std::move(respond));
  respond(http::plain_response(404, "there are /metrics, /healthz, /readyz and /api/v1"));
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
