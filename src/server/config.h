#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::server {

using Milliseconds = std::chrono::milliseconds;

// 0: any free port; none: the listener is off.
using Port = std::optional<std::uint16_t>;

// The settings of a hub, checked. Names, defaults, ranges and meanings stand in one table
// (options.cc), from which docs/reference/configuration.md is made; a Config is made by
// load_settings (settings.h).
struct Config {
  struct Server {
    std::string data_dir;
    std::int64_t shards;  // 0: auto
    std::string log_level;
    std::string log_format;
  } server;

  struct Stream {
    std::string backend;
  } stream;

  struct KafkaCluster {
    std::string brokers;
    std::string properties_file;
    std::uint64_t buffer;
    Milliseconds timeout;
    std::int64_t replication;
  } kafka_cluster;

  struct Access {
    std::string users_file;
    bool allow_anonymous;
  } access;

  struct Tls {
    std::string certificate;
    std::string key;
    std::string sni_dir;
    std::string client_ca;
    std::string client_certificates;
    std::string min_version;
  } tls;

  // What a client may do, and is offered: settings of [mqtt], and of each [mqtt.listener.NAME] that
  // says otherwise.
  struct MqttLimits {
    std::uint64_t packet_max;
    std::int64_t max_inflight;
    std::int64_t receive_maximum;
    std::int64_t topic_alias_max;
    std::int64_t client_id_max;
    std::int64_t subscriptions_max;
    std::uint64_t output_max;
    std::uint64_t session_lag_bytes;
    Milliseconds session_lag_age;
    std::uint64_t qos0_lag_bytes;
    Milliseconds qos0_lag_age;
    Milliseconds will_delay_max;
    Milliseconds session_expiry_max;
    bool offline_qos0;
    Milliseconds delay_max;
    Milliseconds keep_alive_max;
    Milliseconds connect_timeout;
    std::int64_t client_message_rate;
    std::uint64_t client_byte_rate;
    std::string rate_action;
    bool check_payload_format;
    std::string response_information;
    std::string server_reference;
  };

  // [mqtt.listener.NAME]
  struct MqttListener {
    std::string address;
    Port port;
    std::string transport;
    std::string proxy_protocol;
    std::string socket_mode;
    std::int64_t connections_max;
    std::int64_t message_rate;
    std::uint64_t byte_rate;
    MqttLimits limits;
  };

  struct Mqtt {
    Port port;
    Port tls_port;
    Port ws_port;
    Port wss_port;
    std::string ws_origins;
    Milliseconds sys_interval;
    std::string address;
    std::int64_t connections_max;  // 0: auto
    std::int64_t delayed_max;
    MqttLimits limits;
    std::map<std::string, MqttListener, std::less<>> listeners;  // by name
  } mqtt;

  struct Kafka {
    Port port;
    Port tls_port;
    std::string address;
    std::string advertised;
    std::string tls_advertised;
    bool auto_create;
    std::int64_t auto_create_max;
    std::uint64_t request_max;
    Milliseconds idle_timeout;
    Milliseconds group_initial_rebalance_delay;
    Milliseconds offsets_retention;
  } kafka;

  struct Admin {
    Port port;
    std::string address;
  } admin;

  struct Log {
    std::string durability;
    bool direct_io;
    Milliseconds retention;
    std::uint64_t retention_bytes;
    Milliseconds retention_interval;
    std::uint64_t segment_size;
    std::uint64_t journal_size;
    std::int64_t journal_files;
    std::uint64_t tail_cache;
    std::uint64_t read_cache;
    std::uint64_t compaction_map;
    std::uint64_t key_index_memory;
    Milliseconds checkpoint_interval;
    std::int64_t partitions;
  } log;
};

}  // namespace sluice::server
