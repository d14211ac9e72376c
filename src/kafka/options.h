#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/loop.h"
#include "stream/stream.h"

namespace sluice::kafka {

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
  std::string advertised;  // "host:port"; empty: the address that the client has connected to
  std::string cluster_id = "sluice";
};

}  // namespace sluice::kafka
