#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "stream/stream.h"

namespace sluice::stream {

// The settings of a stream by name, as Kafka clients give and read them (CreateTopics, DescribeConfigs): those of
// Kafka that mean something here (retention.ms, retention.bytes, segment.bytes, max.message.bytes, cleanup.policy,
// compression.type=producer, message.timestamp.type=CreateTime, min.insync.replicas=1) and our own under `sluice.`
// (sluice.wildcard).
struct Setting {
  std::string name;
  std::string value;
  std::string text;         // one line of documentation
  bool is_default = false;  // equals that of `defaults`
  enum class Type : std::uint8_t { boolean, string, int32, int64, list } type = Type::string;
};

// Errc::invalid names the setting, the value and what is allowed; an unknown name names the nearest known one.
Result<void> apply_setting(StreamConfig& config, std::string_view name, std::string_view value);
std::vector<Setting> settings_of(const StreamConfig& config, const StreamConfig& defaults);

}  // namespace sluice::stream
