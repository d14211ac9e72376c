#pragma once

#include <cstdint>

namespace sluice::kafka {

// Where the value of a setting comes from
// (org.apache.kafka.clients.admin.ConfigEntry.ConfigSource).
enum class ConfigSource : std::int8_t { topic = 1, static_broker = 4, built_in = 5 };

// What settings belong to (org.apache.kafka.common.config.ConfigResource.Type).
constexpr std::int8_t resource_topic = 2;
constexpr std::int8_t resource_broker = 4;

}  // namespace sluice::kafka
