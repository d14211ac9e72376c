#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "stream/stream.h"

namespace sluice::stream {

// The settings of a stream by name, as Kafka clients give and read them (CreateTopics,
// DescribeConfigs): those of Kafka that mean something here, and our own under `sluice.`. Kafka's
// that can have one value only (such as compression.type=producer) are shown with it, and accepted
// with it.
struct Setting {
  std::string name;
  std::string value;
  std::string text;         // one line of documentation
  bool is_default = false;  // equals that of `defaults`
  enum class Type : std::uint8_t { boolean, string, int32, int64, list } type = Type::string;
};

// Errc::invalid names the setting, the value and what is allowed; an unknown name names the nearest
// known one.
Result<void> apply_setting(StreamConfig& config, std::string_view name, std::string_view value);
std::vector<Setting> settings_of(const StreamConfig& config, const StreamConfig& defaults);

// What create() checks, whoever made the configuration: every field within its range.
Result<void> validate_config(const StreamConfig& config);

}  // namespace sluice::stream
