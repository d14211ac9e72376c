#include "cli/admin_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>

#include "cli/json_fields.h"
#include "cli/output.h"

namespace sluice::cli {

namespace {

constexpr std::uint16_t admin_port = 8090;
constexpr long timeout_s = 30;

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

// The hub says what is wrong in `error`; another server may say anything.
std::string reason_of(std::string_view body) {
  const auto object = parse_object(body);
  return object ? JsonFields(*object).text("error") : std::string();
}

Errc code_of(long status) {
  switch (status) {
    case 400:
      return Errc::invalid;
    case 401:
    case 403:
      return Errc::unauthorized;
    case 404:
      return Errc::not_found;
    case 409:
      return Errc::exists;
    case 429:
      return Errc::busy;
    default:
      return Errc::io;
  }
}

}  // namespace

// One request under way. Of an answer without end, lines are handed out as they come; of one that
// is an error the body is kept.
struct AdminClient::Exchange {
  const std::function<bool(std::string_view)>* on_line = nullptr;
  CURL* curl = nullptr;
  std::string body{};
  bool was_left = false;

  static std::size_t on_data(char* data, std::size_t size, std::size_t count, void* exchange) {
    return static_cast<Exchange*>(exchange)->take({data, size * count}) ? size * count : 0;
  }
  // Is asked at least once a second, also while nothing comes, and at once when a signal does.
  static int on_progress(void* exchange, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto& self = *static_cast<Exchange*>(exchange);
    self.was_left = self.was_left || (self.on_line != nullptr && Interrupt::requested());
    return self.was_left ? 1 : 0;
  }

  [[nodiscard]] long status() const {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
  }

  bool take(std::string_view data) {
    body += data;
    if (on_line == nullptr || status() != 200) return true;
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = body.find('\n', begin)) != std::string::npos; begin = end + 1)
      if (!(*on_line)(std::string_view(body).substr(begin, end - begin))) was_left = true;
    body.erase(0, begin);
    return !was_left;
  }
};

Result<AdminClient> AdminClient::open(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(HostPort address, find_hub(arguments, "admin", admin_port));
  SLUICE_TRY_ASSIGN(Login login, login_of(arguments));
  return AdminClient(std::move(address), std::move(login));
}

Result<void> AdminClient::perform(const std::string& method, std::string_view path,
                                  Exchange& exchange) const {
  const std::string url = fmt::format("http://{}{}", to_string(address_), path);
  const Curl curl(curl_easy_init(), curl_easy_cleanup);
  exchange.curl = curl.get();
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, method.c_str());
  if (exchange.on_line == nullptr) curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, timeout_s);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, timeout_s);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &Exchange::on_data);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &exchange);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  if (!login_.user.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(curl.get(), CURLOPT_USERNAME, login_.user.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_PASSWORD, login_.password.c_str());
  }
  const CURLcode code = curl_easy_perform(curl.get());
  if (exchange.was_left) return {};
  if (code != CURLE_OK)
    return fail(Errc::io, "{}: {}", to_string(address_), curl_easy_strerror(code));
  const long status = exchange.status();
  if (status / 100 == 2) return {};
  const std::string reason = reason_of(exchange.body);
  if (reason.empty()) return fail(Errc::io, "{} answers with HTTP status {}", url, status);
  const bool is_login = status == 401;
  return fail(code_of(status), "{}{}", reason, is_login ? login_hint(login_) : "");
}

Result<std::string> AdminClient::get(std::string_view path) const {
  Exchange exchange;
  SLUICE_TRY(perform("GET", path, exchange));
  return std::move(exchange.body);
}

Result<void> AdminClient::remove(std::string_view path) const {
  Exchange exchange;
  return perform("DELETE", path, exchange);
}

Result<void> AdminClient::follow(std::string_view path,
                                 const std::function<bool(std::string_view line)>& on_line) const {
  Exchange exchange{.on_line = &on_line};
  return perform("GET", path, exchange);
}

std::vector<Flag> with_admin(std::vector<Flag> flags) {
  flags.insert(flags.end(), {address_flag("admin"), data_flag, login_flags[0], login_flags[1]});
  return flags;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text) {
    if (plain.find(c) != std::string_view::npos)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace sluice::cli
