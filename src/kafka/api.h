#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::kafka {

enum class ApiKey : std::int16_t {
  produce = 0,
  fetch = 1,
  list_offsets = 2,
  metadata = 3,
  offset_commit = 8,
  offset_fetch = 9,
  find_coordinator = 10,
  join_group = 11,
  heartbeat = 12,
  leave_group = 13,
  sync_group = 14,
  describe_groups = 15,
  list_groups = 16,
  sasl_handshake = 17,
  api_versions = 18,
  create_topics = 19,
  delete_topics = 20,
  delete_records = 21,
  init_producer_id = 22,
  offset_for_leader_epoch = 23,
  describe_configs = 32,
  alter_configs = 33,
  sasl_authenticate = 36,
  create_partitions = 37,
  delete_groups = 42,
  incremental_alter_configs = 44,
  list_partition_reassignments = 46,
  offset_delete = 47,
  describe_cluster = 60,
};

// One kind of request and the versions of it that this server speaks.
struct Api {
  ApiKey key;
  std::string_view name;      // as in metrics: "produce"
  std::int16_t version_told;  // lowest version that ApiVersions announces
  std::int16_t version_min;   // lowest version that is really taken
  std::int16_t version_max;
  std::int16_t flexible_since;  // first version with compact types and tagged fields

  [[nodiscard]] bool takes(std::int16_t version) const {
    return version >= version_min && version <= version_max;
  }
  [[nodiscard]] bool flexible(std::int16_t version) const { return version >= flexible_since; }
};

// In ascending order of keys.
std::span<const Api> all_apis();
const Api* find_api(ApiKey key);
// The place of `api` in all_apis().
std::size_t index_of(const Api& api);

}  // namespace sluice::kafka
