#include "base/metrics.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace sluice {
namespace {

std::string render(std::initializer_list<Metrics*> registries) {
  return Metrics::render({registries.begin(), registries.size()});
}

TEST(Metrics, GivesTheSameMetricForTheSameNameAndLabels) {
  Metrics metrics;
  Counter& first = metrics.counter("sluice_x_total", "X.", R"(reason="a")");
  EXPECT_EQ(&metrics.counter("sluice_x_total", "X.", R"(reason="a")"), &first);
  EXPECT_NE(&metrics.counter("sluice_x_total", "X.", R"(reason="b")"), &first);
}

TEST(Metrics, RendersTheSumOfAllShardsAsPrometheusText) {
  Metrics one;
  Metrics two;
  one.counter("sluice_drop_total", "Dropped.", R"(reason="a")").add(2);
  two.counter("sluice_drop_total", "Dropped.", R"(reason="a")").add(3);
  two.counter("sluice_drop_total", "Dropped.", R"(reason="b")").add();
  one.gauge("sluice_open", "Open\nnow \\ here.").set(-4);
  two.gauge("sluice_open", "Open\nnow \\ here.").add(1);
  EXPECT_EQ(render({&one, &two}),
            "# HELP sluice_drop_total Dropped.\n"
            "# TYPE sluice_drop_total counter\n"
            "sluice_drop_total{reason=\"a\"} 5\n"
            "sluice_drop_total{reason=\"b\"} 1\n"
            "# HELP sluice_open Open\\nnow \\\\ here.\n"
            "# TYPE sluice_open gauge\n"
            "sluice_open -3\n");
}

TEST(Metrics, RendersHistogramsWithCumulativeBucketsInSeconds) {
  Metrics metrics;
  Histogram& sync = metrics.histogram("sluice_sync_seconds", "Sync.", R"(disk="a")");
  sync.observe_ns(1000);
  sync.observe_ns(1500);
  sync.observe_ns(1'000'000'000'000);
  const std::string text = render({&metrics});
  for (const char* line : {
           "# TYPE sluice_sync_seconds histogram\n",
           "sluice_sync_seconds_bucket{disk=\"a\",le=\"1e-06\"} 1\n",
           "sluice_sync_seconds_bucket{disk=\"a\",le=\"2e-06\"} 2\n",
           "sluice_sync_seconds_bucket{disk=\"a\",le=\"67.108864\"} 2\n",
           "sluice_sync_seconds_bucket{disk=\"a\",le=\"+Inf\"} 3\n",
           "sluice_sync_seconds_sum{disk=\"a\"} 1000.0000025\n",
           "sluice_sync_seconds_count{disk=\"a\"} 3\n",
       }) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "is not in\n" << text;
  }
}

TEST(Histogram, PutsADurationIntoTheFirstBucketThatHoldsIt) {
  struct Row {
    std::int64_t ns;
    std::size_t bucket;
  };
  constexpr Row rows[] = {
      {-1, 0},
      {0, 0},
      {1000, 0},
      {1001, 1},
      {2000, 1},
      {2001, 2},
      {67'108'864'000, 26},
      {67'108'864'001, 27},
      {std::numeric_limits<std::int64_t>::max(), 27},
  };
  for (const auto& row : rows) {
    Histogram histogram;
    histogram.observe_ns(row.ns);
    EXPECT_EQ(histogram.bucket(row.bucket), 1u) << row.ns;
  }
}

}  // namespace
}  // namespace sluice
