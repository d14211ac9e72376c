#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::kafka_stream {

struct Options {
  std::string brokers;  // HOST:PORT, separated by commas
  // Further librdkafka properties (SASL, TLS), by name. Those that the backend needs for its own
  // promises are set after them.
  std::vector<std::pair<std::string, std::string>> properties;
  // Memory for records on their way to the cluster, over all shards; beyond: Errc::busy.
  std::uint64_t buffer = 64 << 20;
  // What the cluster has not taken by then fails with Errc::io.
  std::chrono::milliseconds timeout{30'000};
  std::int32_t replication = -1;  // of topics made here; -1: the cluster's default
  std::uint32_t requests = 4096;  // reads and look-ups not yet answered; beyond: Errc::busy
};

// Lines `name=value` as librdkafka's tools take them; empty lines and those that begin with # don't
// count. Errors: not_found, malformed; they name the file and the line.
Result<std::vector<std::pair<std::string, std::string>>> read_properties_file(
    const std::string& path);

}  // namespace sluice::kafka_stream
