#pragma once

#include <string>

#include "hub/hub.h"
#include "kafka/options.h"
#include "kafka_stream/options.h"
#include "log/log.h"
#include "mqtt/options.h"
#include "server/config.h"

namespace sluice::server {

// A configuration in the words of each module.
std::uint32_t shard_count(const Config& config, unsigned processors);
log::Options log_options(const Config& config);
// Errors: those of the properties file.
Result<kafka_stream::Options> cluster_options(const Config& config);
hub::Options hub_options(const Config& config);
mqtt::Options mqtt_options(const Config& config);
kafka::Options kafka_options(const Config& config, std::string cluster_id);

}  // namespace sluice::server
