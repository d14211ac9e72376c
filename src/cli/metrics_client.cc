#include "cli/metrics_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <charconv>
#include <memory>

namespace sluice::cli {
namespace {

constexpr long timeout_s = 5;

std::size_t append_to(char* data, std::size_t size, std::size_t count, void* text) {
  static_cast<std::string*>(text)->append(data, size * count);
  return size * count;
}

}  // namespace

MetricsPage MetricsPage::parse(std::string_view text) {
  MetricsPage page;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string_view::npos) continue;
    double value = 0;
    const std::string_view number = line.substr(space + 1);
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), value);
    if (parsed.ec == std::errc()) page.samples_.emplace(line.substr(0, space), value);
  }
  return page;
}

double MetricsPage::sum(std::string_view name, std::string_view label) const {
  double total = 0;
  for (auto at = samples_.lower_bound(name); at != samples_.end() && at->first.starts_with(name);
       ++at) {
    const std::string_view labels = std::string_view(at->first).substr(name.size());
    const bool same_name = labels.empty() || labels.starts_with('{');
    if (same_name && labels.find(label) != std::string_view::npos) total += at->second;
  }
  return total;
}

Result<MetricsPage> fetch_metrics(const HostPort& address) {
  const std::string url = fmt::format("http://{}/metrics", to_string(address));
  std::string body;
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> request(curl_easy_init(),
                                                                    curl_easy_cleanup);
  curl_easy_setopt(request.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(request.get(), CURLOPT_TIMEOUT, timeout_s);
  curl_easy_setopt(request.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(request.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(request.get(), CURLOPT_WRITEFUNCTION, append_to);
  curl_easy_setopt(request.get(), CURLOPT_WRITEDATA, &body);
  if (const CURLcode code = curl_easy_perform(request.get()); code != CURLE_OK)
    return fail(Errc::io, "{}: {}", url, curl_easy_strerror(code));
  return MetricsPage::parse(body);
}

}  // namespace sluice::cli
