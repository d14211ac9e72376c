#include "cli/metrics_client.h"

#include <charconv>
#include <string>

namespace sluice::cli {
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

Result<MetricsPage> fetch_metrics(const AdminClient& client) {
  SLUICE_TRY_ASSIGN(const std::string body, client.get("/metrics"));
  return MetricsPage::parse(body);
}

}  // namespace sluice::cli
