#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

// A number with one writer (its shard or helper thread) that any thread may read: no locked
// instruction.
class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(std::int64_t n) { value_.store(n, std::memory_order_relaxed); }
  void add(std::int64_t n) { set(value() + n); }
  [[nodiscard]] std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// Durations in powers of two from 1 us to about 67 s, exported in seconds.
class Histogram {
 public:
  static constexpr std::size_t bucket_count = 28;  // the last one is +Inf
  void observe_ns(std::int64_t ns);
  [[nodiscard]] std::uint64_t bucket(std::size_t i) const { return buckets_[i].value(); }
  [[nodiscard]] std::uint64_t sum_ns() const { return sum_ns_.value(); }

 private:
  std::array<Counter, bucket_count> buckets_;
  Counter sum_ns_;
};

// One per shard. A metric is registered once (cold path, locked) and then used by reference;
// references stay valid. `name` follows Prometheus: sluice_<part>_<what>_<unit>[_total]; `labels`
// is the text between the braces, such as reason="too_large", and must come from a bounded set,
// never from a client id.
class Metrics {
 public:
  Counter& counter(std::string_view name, std::string_view help, std::string_view labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, std::string_view labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, std::string_view labels = {});

  // Prometheus text exposition format 0.0.4 of the sums over all given registries.
  static std::string render(std::span<Metrics* const> registries);
  // The sum of a counter or gauge over all given registries, of those whose labels contain `label`.
  static std::int64_t total(std::span<Metrics* const> registries, std::string_view name,
                            std::string_view label = {});

 private:
  template <class T>
  struct Family {
    std::string help;
    std::map<std::string, T*, std::less<>> by_labels;
  };
  template <class T>
  static T& find_or_add(std::map<std::string, Family<T>, std::less<>>& families,
                        std::deque<T>& store, std::string_view name, std::string_view help,
                        std::string_view labels);
  std::mutex mutex_;
  std::deque<Counter> counters_;
  std::deque<Gauge> gauges_;
  std::deque<Histogram> histograms_;
  std::map<std::string, Family<Counter>, std::less<>> counter_families_;
  std::map<std::string, Family<Gauge>, std::less<>> gauge_families_;
  std::map<std::string, Family<Histogram>, std::less<>> histogram_families_;
};

}  // namespace sluice
