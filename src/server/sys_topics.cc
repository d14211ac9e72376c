#include "server/sys_topics.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "cli/version.h"
#include "server/process_metrics.h"

namespace sluice::server {
namespace {

constexpr std::string_view of_mqtt = "protocol=\"mqtt\"";
constexpr std::string_view prefix = "$SYS/broker/";

}  // namespace

void LoadAverage::add(std::int64_t total, double interval_s) {
  const double rate = static_cast<double>(total - std::exchange(last_, total)) * 60 / interval_s;
  for (std::size_t i = 0; i < minutes.size(); ++i) {
    const double kept = std::exp(-interval_s / (60 * minutes[i]));
    averages_[i] = rate + kept * (averages_[i] - rate);
  }
}

SysTopics::SysTopics(runtime::Loop& loop, std::vector<Metrics*> registries, Publish publish,
                     CountStored count_stored)
    : loop_(loop),
      registries_(std::move(registries)),
      publish_(std::move(publish)),
      count_stored_(std::move(count_stored)) {}

void SysTopics::start(runtime::Duration interval) {
  interval_ = interval;
  started_ = loop_.now();
  on_interval();
}

void SysTopics::stop() { loop_.cancel(std::exchange(timer_, runtime::TimerId::none)); }

void SysTopics::on_interval() {
  timer_ = loop_.run_after(interval_, [this] { on_interval(); });
  count_stored_([this](Result<std::int64_t> stored) { stored_ = stored.value_or(stored_); });

  next_ = 0;
  const auto uptime =
      std::chrono::duration_cast<std::chrono::seconds>(loop_.now() - started_).count();
  set("version", fmt::format("sluice {}", version));
  set("uptime", fmt::format("{} seconds", uptime));
  count_clients();
  count_messages();
  measure_loads(totals());
  publish_(hub::make_announcement(loop_.wall_ms(), topics_));
}

void SysTopics::set(std::string_view topic, std::string value) {
  if (next_ == topics_.size()) topics_.push_back({.topic = fmt::format("{}{}", prefix, topic)});
  hub::AnnouncedTopic& announced = topics_[next_++];
  announced.changed = announced.value != value;
  announced.value = std::move(value);
}

void SysTopics::count_clients() {
  const std::int64_t connected = total("sluice_connections", of_mqtt);
  clients_max_ = std::max(clients_max_, connected);
  set("clients/connected", connected);
  set("clients/maximum", clients_max_);
  set("clients/total", connected);
  set("clients/disconnected", 0);  // no session outlives its connection
  set("clients/expired", 0);
  set("subscriptions/count", total("sluice_subscriptions"));
  set("shared_subscriptions/count", total("sluice_shared_subscriptions"));
}

SysTopics::Totals SysTopics::totals() const {
  const std::int64_t published = total("sluice_messages_received_total", of_mqtt);
  const std::int64_t delivered = total("sluice_messages_delivered_total", of_mqtt);
  return {
      Total{"messages/received", "messages/received", total("sluice_mqtt_packets_received_total")},
      Total{"messages/sent", "messages/sent",
            delivered + total("sluice_mqtt_other_packets_sent_total")},
      Total{"publish/messages/received", "publish/received", published},
      Total{"publish/messages/sent", "publish/sent", delivered},
      Total{"publish/messages/dropped", "publish/dropped", total("sluice_messages_dropped_total")},
      Total{"bytes/received", "bytes/received", total("sluice_mqtt_received_bytes_total")},
      Total{"bytes/sent", "bytes/sent", total("sluice_mqtt_sent_bytes_total")},
      Total{"publish/bytes/received", "", total("sluice_mqtt_publish_received_bytes_total")},
      Total{"publish/bytes/sent", "", total("sluice_mqtt_publish_sent_bytes_total")},
      Total{"", "connections", total("sluice_connects_total", of_mqtt)}};
}

void SysTopics::count_messages() {
  for (const auto& [topic, load, value] : totals())
    if (!topic.empty()) set(topic, value);
  set("messages/stored", stored_);
  set("store/messages/count", stored_);
  set("store/messages/bytes", total("sluice_log_bytes"));
  set("retained messages/count", total("sluice_retained_entries"));
  const ProcessMemory memory = process_memory();
  set("heap/current", memory.resident);
  set("heap/maximum", memory.resident_max);
}

void SysTopics::measure_loads(const Totals& totals) {
  const double interval_s = std::chrono::duration<double>(interval_).count();
  for (std::size_t i = 0; i < totals.size(); ++i) {
    if (totals[i].load.empty()) continue;
    loads_[i].add(totals[i].value, interval_s);
    for (std::size_t period = 0; period < LoadAverage::minutes.size(); ++period)
      set(fmt::format("load/{}/{}min", totals[i].load, LoadAverage::minutes[period]),
          fmt::format("{:.2f}", loads_[i].per_minute(period)));
  }
}

}  // namespace sluice::server
