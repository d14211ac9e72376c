#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/metrics.h"
#include "base/task.h"
#include "hub/announcements.h"
#include "runtime/loop.h"

namespace sluice::server {

// A rate as a moving average that forgets by a half-life of about its period: mosquitto's "load"
// topics, in events per minute over 1, 5 and 15 minutes.
class LoadAverage {
 public:
  static constexpr std::array<int, 3> minutes{1, 5, 15};

  // `total` events since the start of the hub; `interval_s` since the call before.
  void add(std::int64_t total, double interval_s);
  [[nodiscard]] double per_minute(std::size_t period) const { return averages_[period]; }

 private:
  std::int64_t last_ = 0;
  std::array<double, minutes.size()> averages_{};
};

// What the hub says of itself under "$SYS/broker/", with the names that mosquitto uses
// (docs/reference/mqtt.md): sums of the metrics of all shards, at an interval. On shard 0.
class SysTopics {
 public:
  using Publish = std::function<void(const hub::AnnouncementRef&)>;  // to all shards
  // How many messages the log holds in the stream that plain MQTT is kept in. Answers on shard 0.
  using CountStored = std::function<void(Done<std::int64_t>)>;

  SysTopics(runtime::Loop& loop, std::vector<Metrics*> registries, Publish publish,
            CountStored count_stored);
  ~SysTopics() { stop(); }
  SysTopics(const SysTopics&) = delete;
  SysTopics& operator=(const SysTopics&) = delete;

  void start(runtime::Duration interval);
  void stop();

 private:
  struct Total {
    std::string_view topic;  // empty: none, as for `load`
    std::string_view load;
    std::int64_t value;
  };
  using Totals = std::array<Total, 10>;

  void on_interval();
  void set(std::string_view topic, std::string value);
  void set(std::string_view topic, std::int64_t value) { set(topic, std::to_string(value)); }
  void count_clients();
  void count_messages();
  void measure_loads(const Totals& totals);
  [[nodiscard]] Totals totals() const;
  [[nodiscard]] std::int64_t total(std::string_view metric, std::string_view label = {}) const {
    return Metrics::total(registries_, metric, label);
  }

  runtime::Loop& loop_;
  std::vector<Metrics*> registries_;
  Publish publish_;
  CountStored count_stored_;
  std::int64_t stored_ = 0;
  runtime::Duration interval_{};
  runtime::TimerId timer_ = runtime::TimerId::none;
  runtime::TimePoint started_{};
  std::int64_t clients_max_ = 0;
  std::array<LoadAverage, std::tuple_size_v<Totals>> loads_;  // of totals(), in their order
  std::vector<hub::AnnouncedTopic> topics_;  // those of the last interval, in their order
  std::size_t next_ = 0;                     // of topics_, while they are gone through
};

}  // namespace sluice::server
