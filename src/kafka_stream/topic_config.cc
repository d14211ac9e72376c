#include "kafka_stream/topic_config.h"

#include <array>
#include <optional>

#include "base/units.h"

namespace sluice::kafka_stream {
namespace {

using stream::StreamConfig;

struct Number {
  std::string_view name;
  std::int64_t StreamConfig::* field;
};

constexpr std::array numbers{
    Number{"retention.ms", &StreamConfig::retention_ms},
    Number{"segment.bytes", &StreamConfig::segment_bytes},
    Number{"max.message.bytes", &StreamConfig::max_message_bytes},
    Number{"delete.retention.ms", &StreamConfig::delete_retention_ms},
    Number{"min.compaction.lag.ms", &StreamConfig::min_compaction_lag_ms},
};

std::int64_t per_partition(const StreamConfig& config) {
  if (config.retention_bytes < 0) return -1;
  const std::int64_t partitions = config.partitions;
  return config.retention_bytes / partitions + (config.retention_bytes % partitions != 0 ? 1 : 0);
}

std::optional<std::int64_t> number_of(const TopicConfig& settings, std::string_view name) {
  const auto found = settings.find(name);
  if (found == settings.end()) return std::nullopt;
  const auto number = parse_integer(found->second);
  return number ? std::optional(*number) : std::nullopt;
}

std::string cleanup_policy(const StreamConfig& config) {
  if (!config.compact) return "delete";
  return config.expire ? "compact,delete" : "compact";
}

}  // namespace

TopicConfig to_topic_config(const StreamConfig& config) {
  TopicConfig settings;
  for (const auto& [name, field] : numbers) settings.emplace(name, std::to_string(config.*field));
  if (config.segment_bytes < 0) settings.erase("segment.bytes");  // the cluster's own default
  settings.emplace("retention.bytes", std::to_string(per_partition(config)));
  settings.emplace("cleanup.policy", cleanup_policy(config));
  return settings;
}

StreamConfig from_topic_config(const TopicConfig& settings, StreamConfig base) {
  for (const auto& [name, field] : numbers)
    if (const auto value = number_of(settings, name)) base.*field = *value;
  if (const auto bytes = number_of(settings, "retention.bytes"))
    base.retention_bytes = *bytes < 0 ? -1 : *bytes * base.partitions;
  if (const auto policy = settings.find("cleanup.policy"); policy != settings.end()) {
    base.compact = policy->second.find("compact") != std::string::npos;
    base.expire = policy->second.find("delete") != std::string::npos;
  }
  return base;
}

StreamConfig as_kafka_can(StreamConfig config) {
  if (config.retention_bytes >= 0)
    config.retention_bytes = per_partition(config) * config.partitions;
  if (!config.compact) config.expire = true;
  return config;
}

}  // namespace sluice::kafka_stream
