#pragma once

#include <cstdint>

namespace sluice::kafka {

// Where the value of a setting comes from
// (org.apache.kafka.clients.admin.ConfigEntry.ConfigSource).
enum class ConfigSource : std::int8_t { topic = 1, static_broker = 4, built_in = 5 };

}  // namespace sluice::kafka
