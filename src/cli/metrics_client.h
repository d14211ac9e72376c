#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/admin_client.h"

namespace sluice::cli {

// A hub's metrics at one moment: `name{labels}` as in /metrics -> value.
class MetricsPage {
 public:
  // Prometheus text format 0.0.4; lines that are no sample are passed over.
  static MetricsPage parse(std::string_view text);

  // The sum over all samples of `name` whose labels hold `label` (such as `qos="1"`; empty: any).
  [[nodiscard]] double sum(std::string_view name, std::string_view label = {}) const;

 private:
  std::map<std::string, double, std::less<>> samples_;
};

// GET /metrics of the admin listener.
Result<MetricsPage> fetch_metrics(const AdminClient& client);

}  // namespace sluice::cli
