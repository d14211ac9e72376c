#pragma once

#include "kafka/error_code.h"
#include "kafka/wire.h"

namespace sluice::kafka {

// The bits of the operations that a client may do were not asked for, or are not told.
constexpr std::int32_t operations_not_told = std::numeric_limits<std::int32_t>::min();

struct MetadataRequest {
  struct Topic {
    Uuid topic_id{};
    std::optional<std::string_view> name{};

    void fields(auto& f) {
      f(topic_id, since(10));
      f(name);
    }
  };
  std::optional<std::vector<Topic>> topics{};  // null: all; empty means all too in version 0
  bool allow_auto_topic_creation = true;
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;

  void fields(auto& f) {
    f(topics);
    f(allow_auto_topic_creation, since(4));
    f(include_cluster_authorized_operations, between(8, 10));
    f(include_topic_authorized_operations, since(8));
  }
};

struct MetadataResponse {
  struct Broker {
    std::int32_t node_id = 0;
    std::string host{};
    std::int32_t port = 0;
    std::optional<std::string> rack{};

    void fields(auto& f) {
      f(node_id);
      f(host);
      f(port);
      f(rack, since(1));
    }
  };
  struct Partition {
    ErrorCode error_code = ErrorCode::none;
    std::int32_t partition_index = 0;
    std::int32_t leader_id = 0;
    std::int32_t leader_epoch = 0;
    std::vector<std::int32_t> replica_nodes{};
    std::vector<std::int32_t> isr_nodes{};
    std::vector<std::int32_t> offline_replicas{};

    void fields(auto& f) {
      f(error_code);
      f(partition_index);
      f(leader_id);
      f(leader_epoch, since(7));
      f(replica_nodes);
      f(isr_nodes);
      f(offline_replicas, since(5));
    }
  };
  struct Topic {
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> name{};  // null: an unknown topic id, version 12 on
    Uuid topic_id{};
    bool is_internal = false;
    std::vector<Partition> partitions{};
    std::int32_t topic_authorized_operations = operations_not_told;

    void fields(auto& f) {
      f(error_code);
      f(name);
      f(topic_id, since(10));
      f(is_internal, since(1));
      f(partitions);
      f(topic_authorized_operations, since(8));
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<Broker> brokers{};
  std::optional<std::string> cluster_id{};
  std::int32_t controller_id = 0;
  std::vector<Topic> topics{};
  std::int32_t cluster_authorized_operations = operations_not_told;

  void fields(auto& f) {
    f(throttle_time_ms, since(3));
    f(brokers);
    f(cluster_id, since(2));
    f(controller_id, since(1));
    f(topics);
    f(cluster_authorized_operations, between(8, 10));
  }
};

struct DescribeClusterRequest {
  bool include_cluster_authorized_operations = false;
  std::int8_t endpoint_type = 1;  // 1: brokers

  void fields(auto& f) {
    f(include_cluster_authorized_operations);
    f(endpoint_type, since(1));
  }
};

struct DescribeClusterResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  std::optional<std::string> error_message{};
  std::int8_t endpoint_type = 1;
  std::string cluster_id{};
  std::int32_t controller_id = 0;
  std::vector<MetadataResponse::Broker> brokers{};  // as in Metadata since version 1
  std::int32_t cluster_authorized_operations = operations_not_told;

  void fields(auto& f) {
    f(throttle_time_ms);
    f(error_code);
    f(error_message);
    f(endpoint_type, since(1));
    f(cluster_id);
    f(controller_id);
    f(brokers);
    f(cluster_authorized_operations);
  }
};

}  // namespace sluice::kafka
