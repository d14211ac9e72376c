#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/loop.h"
#include "stream/stream.h"

namespace sluice::kafka {

// What a group may be, and how much of groups a shard holds. Who would pass a limit is answered
// with GROUP_MAX_SIZE_REACHED.
struct GroupOptions {
  runtime::Duration session_timeout_min = std::chrono::seconds(6);
  runtime::Duration session_timeout_max = std::chrono::minutes(30);
  runtime::Duration initial_rebalance_delay{};  // how long the first members of a group wait
  runtime::Duration offsets_retention = std::chrono::days(7);  // since the group became empty
  std::size_t members_max = 1000;                              // of a group
  std::size_t bytes_max = 4 << 20;     // metadata and assignments of a group
  std::size_t group_id_max = 1000;     // bytes of a name
  std::size_t groups_max = 20'000;     // of a shard
  std::size_t offsets_max = 500'000;   // committed partitions of a shard
  std::size_t memory_max = 256 << 20;  // bytes of all groups and offsets of a shard
  std::size_t offset_metadata_max = 4096;
};

struct Options {
  std::size_t request_max = 16 << 20;  // bytes of one request
  std::size_t fetch_max =
      16 << 20;  // bytes of records in one fetch response; one batch may pass it (KIP-74)
  runtime::Duration fetch_wait_max = std::chrono::minutes(5);  // a longer wait is cut to this
  runtime::Duration connections_max_idle =
      std::chrono::minutes(10);          // silent longer than this: closed
  bool auto_create = true;               // Metadata requests create missing topics
  std::uint32_t auto_create_max = 1000;  // only while there are fewer topics than this
  std::uint32_t partitions_max = 1024;   // of a topic that a client creates
  stream::StreamConfig default_config;   // of topics that clients create
  // Where clients are told to come back to, "host:port"; empty: the address that they have
  // connected to. For those with TLS see below.
  std::string advertised;
  std::string cluster_id = "sluice";
  GroupOptions groups;
  std::string tls_advertised;  // as `advertised`, for clients with TLS
  // The stream of MQTT topics that have none of their own: what would break their order or hide
  // them from MQTT subscribers is refused. Empty: there is none.
  std::string mqtt_stream;
};

}  // namespace sluice::kafka
