#include "base/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>

namespace sluice {
namespace {

struct HistogramSum {
  std::array<std::uint64_t, Histogram::bucket_count> buckets{};
  std::uint64_t sum_ns = 0;
};

void add(std::uint64_t& sum, const Counter& counter) { sum += counter.value(); }
void add(std::int64_t& sum, const Gauge& gauge) { sum += gauge.value(); }
void add(HistogramSum& sum, const Histogram& histogram) {
  for (std::size_t i = 0; i < sum.buckets.size(); ++i) sum.buckets[i] += histogram.bucket(i);
  sum.sum_ns += histogram.sum_ns();
}

template <class... Args>
void print(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

std::string in_braces(std::string_view labels) {
  return labels.empty() ? std::string() : fmt::format("{{{}}}", labels);
}

template <class Number>
void print_samples(std::string& out, std::string_view name, std::string_view labels, Number value) {
  print(out, "{}{} {}\n", name, in_braces(labels), value);
}

void print_samples(std::string& out, std::string_view name, std::string_view labels,
                   const HistogramSum& sum) {
  const std::string_view comma = labels.empty() ? "" : ",";
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < sum.buckets.size(); ++i) {
    count += sum.buckets[i];
    const bool last = i + 1 == sum.buckets.size();
    const auto bound = last ? "+Inf" : fmt::format("{}", 1e-6 * static_cast<double>(1ull << i));
    print(out, "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, bound, count);
  }
  print(out, "{}_sum{} {}\n", name, in_braces(labels), 1e-9 * static_cast<double>(sum.sum_ns));
  print(out, "{}_count{} {}\n", name, in_braces(labels), count);
}

std::string escaped_help(std::string_view help) {
  std::string out;
  for (const char c : help) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

template <class Sum>
struct FamilySum {
  std::string help;
  std::map<std::string, Sum> by_labels;
};
template <class Sum>
using FamilySums = std::map<std::string, FamilySum<Sum>>;

template <class Sum, class Families>
void add_families(FamilySums<Sum>& sums, const Families& families) {
  for (const auto& [name, family] : families) {
    auto& sum = sums[name];
    sum.help = family.help;
    for (const auto& [labels, metric] : family.by_labels) add(sum.by_labels[labels], *metric);
  }
}

template <class Sum>
void print_families(std::string& out, std::string_view type, const FamilySums<Sum>& families) {
  for (const auto& [name, family] : families) {
    print(out, "# HELP {} {}\n# TYPE {} {}\n", name, escaped_help(family.help), name, type);
    for (const auto& [labels, sum] : family.by_labels) print_samples(out, name, labels, sum);
  }
}

template <class Families>
std::int64_t total_of(const Families& families, std::string_view name, std::string_view label) {
  std::int64_t sum = 0;
  if (const auto family = families.find(name); family != families.end())
    for (const auto& [labels, metric] : family->second.by_labels)
      if (labels.contains(label)) sum += static_cast<std::int64_t>(metric->value());
  return sum;
}

}  // namespace

void Histogram::observe_ns(std::int64_t ns) {
  const auto duration_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
  const std::uint64_t us = duration_ns / 1000 + (duration_ns % 1000 != 0 ? 1 : 0);
  const std::size_t bucket = us <= 1 ? 0 : static_cast<std::size_t>(std::bit_width(us - 1));
  buckets_[std::min(bucket, bucket_count - 1)].add();
  sum_ns_.add(duration_ns);
}

template <class T>
T& Metrics::find_or_add(std::map<std::string, Family<T>, std::less<>>& families,
                        std::deque<T>& store, std::string_view name, std::string_view help,
                        std::string_view labels) {
  auto family = families.find(name);
  if (family == families.end()) {
    family = families.emplace(name, Family<T>{std::string(help), {}}).first;
  }
  auto& by_labels = family->second.by_labels;
  if (const auto found = by_labels.find(labels); found != by_labels.end()) return *found->second;
  T& metric = store.emplace_back();
  by_labels.emplace(labels, &metric);
  return metric;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  return find_or_add(counter_families_, counters_, name, help, labels);
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  return find_or_add(gauge_families_, gauges_, name, help, labels);
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help,
                              std::string_view labels) {
  const std::lock_guard lock(mutex_);
  return find_or_add(histogram_families_, histograms_, name, help, labels);
}

std::string Metrics::render(std::span<Metrics* const> registries) {
  FamilySums<std::uint64_t> counters;
  FamilySums<std::int64_t> gauges;
  FamilySums<HistogramSum> histograms;
  for (Metrics* registry : registries) {
    const std::lock_guard lock(registry->mutex_);
    add_families(counters, registry->counter_families_);
    add_families(gauges, registry->gauge_families_);
    add_families(histograms, registry->histogram_families_);
  }
  std::string out;
  print_families(out, "counter", counters);
  print_families(out, "gauge", gauges);
  print_families(out, "histogram", histograms);
  return out;
}

std::int64_t Metrics::total(std::span<Metrics* const> registries, std::string_view name,
                            std::string_view label) {
  std::int64_t sum = 0;
  for (Metrics* const registry : registries) {
    const std::lock_guard lock(registry->mutex_);
    sum += total_of(registry->counter_families_, name, label);
    sum += total_of(registry->gauge_families_, name, label);
  }
  return sum;
}

}  // namespace sluice
