#pragma once

#include <string>

#include "hub/hub.h"
#include "kafka/options.h"
#include "kafka_stream/options.h"
#include "log/log.h"
#include "mqtt/listener.h"
#include "mqtt/options.h"
#include "server/config.h"
#include "server/listener_plan.h"

namespace sluice::server {

// A configuration in the words of each module.
std::uint32_t shard_count(const Config& config, unsigned processors);
log::Options log_options(const Config& config);
// Errors: those of the properties file.
Result<kafka_stream::Options> cluster_options(const Config& config);
hub::Options hub_options(const Config& config);
mqtt::Options mqtt_options(const Config& config);
// Of all listeners, in a process that may have so many descriptors.
std::uint64_t mqtt_connections_max(const Config& config, std::uint64_t descriptors);
mqtt::ListenerOptions mqtt_listener_options(const Config& config, const ListenerPlan& plan);
kafka::Options kafka_options(const Config& config, std::string cluster_id);

}  // namespace sluice::server
