#include "kafka/api.h"

#include <algorithm>
#include <array>
#include <limits>

namespace sluice::kafka {

namespace {

constexpr std::int16_t never = std::numeric_limits<std::int16_t>::max();  // flexible

// librdkafka turns compression with gzip, snappy and lz4 off for a broker whose range lacks Produce
// 0, so 0 is told although nobody sends it (Apache Kafka 4 does the same).
constexpr std::array apis{
    Api{ApiKey::produce, "produce", 0, 3, 9, 9},
    Api{ApiKey::fetch, "fetch", 4, 4, 12, 12},
    Api{ApiKey::list_offsets, "list_offsets", 1, 1, 7, 6},
    Api{ApiKey::metadata, "metadata", 0, 0, 12, 9},
    Api{ApiKey::offset_commit, "offset_commit", 2, 2, 9, 8},
    Api{ApiKey::offset_fetch, "offset_fetch", 1, 1, 9, 6},
    Api{ApiKey::find_coordinator, "find_coordinator", 0, 0, 4, 3},
    Api{ApiKey::join_group, "join_group", 0, 0, 9, 6},
    Api{ApiKey::heartbeat, "heartbeat", 0, 0, 4, 4},
    Api{ApiKey::leave_group, "leave_group", 0, 0, 5, 4},
    Api{ApiKey::sync_group, "sync_group", 0, 0, 5, 4},
    Api{ApiKey::describe_groups, "describe_groups", 0, 0, 6, 5},
    Api{ApiKey::list_groups, "list_groups", 0, 0, 5, 3},
    Api{ApiKey::sasl_handshake, "sasl_handshake", 0, 0, 1, never},
    Api{ApiKey::api_versions, "api_versions", 0, 0, 4, 3},
    Api{ApiKey::create_topics, "create_topics", 2, 2, 7, 5},
    Api{ApiKey::delete_topics, "delete_topics", 1, 1, 6, 4},
    Api{ApiKey::delete_records, "delete_records", 0, 0, 2, 2},
    Api{ApiKey::init_producer_id, "init_producer_id", 0, 0, 5, 2},
    Api{ApiKey::offset_for_leader_epoch, "offset_for_leader_epoch", 2, 2, 4, 4},
    Api{ApiKey::describe_configs, "describe_configs", 1, 1, 4, 4},
    Api{ApiKey::alter_configs, "alter_configs", 0, 0, 2, 2},
    Api{ApiKey::sasl_authenticate, "sasl_authenticate", 0, 0, 2, 2},
    Api{ApiKey::create_partitions, "create_partitions", 0, 0, 3, 2},
    Api{ApiKey::delete_groups, "delete_groups", 0, 0, 2, 2},
    Api{ApiKey::incremental_alter_configs, "incremental_alter_configs", 0, 0, 1, 1},
    Api{ApiKey::list_partition_reassignments, "list_partition_reassignments", 0, 0, 0, 0},
    Api{ApiKey::offset_delete, "offset_delete", 0, 0, 0, never},
    Api{ApiKey::describe_cluster, "describe_cluster", 0, 0, 1, 0},
};

}  // namespace

std::span<const Api> all_apis() { return apis; }

const Api* find_api(ApiKey key) {
  const auto found = std::ranges::find(apis, key, &Api::key);
  return found == apis.end() ? nullptr : &*found;
}

std::size_t index_of(const Api& api) { return static_cast<std::size_t>(&api - apis.data()); }

}  // namespace sluice::kafka
