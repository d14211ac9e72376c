#include "server/options.h"

#include <array>
#include <cctype>

namespace sluice::server {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t KiB = 1ull << 10;
constexpr std::uint64_t MiB = 1ull << 20;
constexpr std::uint64_t GiB = 1ull << 30;
constexpr std::uint64_t TiB = 1ull << 40;

using MqttLimits = Config::MqttLimits;

// A setting of [mqtt] that listeners may have for themselves.
template <auto field>
constexpr Option limit(std::string_view name, std::string_view default_value,
                       std::string_view text) {
  return {name, default_value, text, [](Config& c) { return field(c.mqtt.limits); },
          [](Config::MqttListener& l) { return field(l.limits); }};
}

const std::array table{
    Option{"server.data_dir", "data",
           "Directory of all that is stored. One hub at a time may use it.",
           [](Config& c) -> Field { return TextField{&c.server.data_dir}; }},
    Option{"server.shards", "auto",
           "Threads that serve connections and partitions. `auto`: one on up to two cores, else "
           "one per core. May change "
           "between starts.",
           [](Config& c) -> Field { return IntegerField{&c.server.shards, 1, 64, true}; }},
    Option{"server.log_level", "info", "Events below this level are not logged.",
           [](Config& c) -> Field {
             return ChoiceField{&c.server.log_level,
                                {"trace", "debug", "info", "warn", "error", "off"}};
           }},
    Option{"server.log_format", "auto", "`auto`: text on a terminal, JSON otherwise.",
           [](Config& c) -> Field {
             return ChoiceField{&c.server.log_format, {"auto", "text", "json"}};
           }},
    Option{
        "stream.backend", "embedded",
        "Where streams are kept: `embedded`, in the hub's own log; `kafka`, in the Kafka cluster "
        "of `kafka_cluster`. The hub's Kafka listener is off then.",
        [](Config& c) -> Field { return ChoiceField{&c.stream.backend, {"embedded", "kafka"}}; }},
    Option{"kafka_cluster.brokers", "",
           "HOST:PORT of some brokers of the cluster, separated by commas.",
           [](Config& c) -> Field { return TextField{&c.kafka_cluster.brokers}; }},
    Option{
        "kafka_cluster.properties_file", "",
        "File of librdkafka properties, a `name=value` per line, for what the cluster asks of its "
        "clients: SASL, TLS.",
        [](Config& c) -> Field { return TextField{&c.kafka_cluster.properties_file}; }},
    Option{"kafka_cluster.buffer", "64MiB",
           "Memory for records on their way to the cluster. When it is full publishers wait.",
           [](Config& c) -> Field { return SizeField{&c.kafka_cluster.buffer, MiB, 16 * GiB}; }},
    Option{"kafka_cluster.timeout", "30s",
           "A record that the cluster has not taken by then fails, and its publisher is told.",
           [](Config& c) -> Field {
             return DurationField{&c.kafka_cluster.timeout, seconds(1), hours(1)};
           }},
    Option{
        "kafka_cluster.replication", "-1",
        "Replication factor of topics that the hub makes. `-1`: the cluster's default.",
        [](Config& c) -> Field { return IntegerField{&c.kafka_cluster.replication, -1, 32767}; }},

    Option{"access.users_file", "",
           "File of users, their hashed passwords and rules; `sluice user add` writes it. Empty: "
           "`users.toml` in the data directory. Without that file everybody may do everything.",
           [](Config& c) -> Field { return TextField{&c.access.users_file}; }},
    Option{
        "access.allow_anonymous", "false",
        "Clients without a user are let in: with the rules of the user `anonymous` if there is a "
        "file of users, else with all rights. Without users and without this, listeners are "
        "allowed on loopback only.",
        [](Config& c) -> Field { return BoolField{&c.access.allow_anonymous}; }},

    Option{"tls.certificate", "", "PEM file of the server's certificate and its chain.",
           [](Config& c) -> Field { return TextField{&c.tls.certificate}; }},
    Option{"tls.key", "", "PEM file of the certificate's private key.",
           [](Config& c) -> Field { return TextField{&c.tls.key}; }},
    Option{"tls.sni_dir", "",
           "Directory of further certificates by host name (SNI): `HOST.crt` with `HOST.key`.",
           [](Config& c) -> Field { return TextField{&c.tls.sni_dir}; }},
    Option{"tls.client_ca", "", "PEM file of the authorities that sign clients' certificates.",
           [](Config& c) -> Field { return TextField{&c.tls.client_ca}; }},
    Option{"tls.client_certificates", "off",
           "Whether clients are asked for a certificate. Its common name is the user, unless the "
           "client logs in as another.",
           [](Config& c) -> Field {
             return ChoiceField{&c.tls.client_certificates, {"off", "optional", "required"}};
           }},
    Option{"tls.min_version", "1.2", "Lowest version of TLS that is spoken.",
           [](Config& c) -> Field { return ChoiceField{&c.tls.min_version, {"1.2", "1.3"}}; }},

    Option{"mqtt.port", "1883", "TCP port for MQTT 3.1.1 and 5.",
           [](Config& c) -> Field { return PortField{&c.mqtt.port}; }},
    Option{"mqtt.tls_port", "off",
           "TCP port for MQTT over TLS, by convention 8883. Needs `tls.certificate`.",
           [](Config& c) -> Field { return PortField{&c.mqtt.tls_port}; }},
    Option{"mqtt.ws_port", "8083", "TCP port for MQTT over WebSocket, path `/mqtt`.",
           [](Config& c) -> Field { return PortField{&c.mqtt.ws_port}; }},
    Option{"mqtt.wss_port", "off",
           "TCP port for MQTT over WebSocket and TLS, by convention 8084. Needs `tls.certificate`.",
           [](Config& c) -> Field { return PortField{&c.mqtt.wss_port}; }},
    Option{"mqtt.address", "127.0.0.1",
           "Numeric address to listen on, IPv4 or IPv6; `::` takes IPv4 as well.",
           [](Config& c) -> Field { return TextField{&c.mqtt.address}; }},
    Option{
        "mqtt.ws_origins", "",
        "Origins of web pages that may connect by WebSocket, such as "
        "`https://console.example.org`, "
        "separated by commas; `*`: all. Pages of this machine, and programs that are no browser, "
        "always may.",
        [](Config& c) -> Field { return TextField{&c.mqtt.ws_origins}; }},
    Option{"mqtt.sys_interval", "10s",
           "How often the topics under `$SYS/broker/` are told anew. `0s`: there are none.",
           [](Config& c) -> Field {
             return DurationField{&c.mqtt.sys_interval, seconds(0), hours(1)};
           }},
    Option{
        "mqtt.connections_max", "auto",
        "MQTT connections of all listeners together. `auto`: nine tenths of the descriptors that "
        "the process may have.",
        [](Config& c) -> Field {
          return IntegerField{&c.mqtt.connections_max, 1, 100'000'000, true};
        }},
    Option{"mqtt.delayed_max", "100000",
           "Messages published to `$delayed/<seconds>/<topic>` that may wait. More are refused.",
           [](Config& c) -> Field { return IntegerField{&c.mqtt.delayed_max, 0, 1'000'000'000}; }},
    limit<[](MqttLimits& l) -> Field { return SizeField{&l.packet_max, KiB, 256 * MiB}; }>(
        "mqtt.packet_max", "16MiB",
        "Largest MQTT packet. A larger one closes its connection. Must fit into a file of the "
        "journal."),
    limit<[](MqttLimits& l) -> Field { return IntegerField{&l.max_inflight, 1, 65535}; }>(
        "mqtt.max_inflight", "1024",
        "Messages of QoS 1 and 2 sent to a client and not yet acknowledged; a client may ask for "
        "less."),
    limit<[](MqttLimits& l) -> Field { return IntegerField{&l.receive_maximum, 1, 65535}; }>(
        "mqtt.receive_maximum", "1024",
        "Messages of QoS 1 and 2 that a client may have under way, until PUBACK or PUBCOMP "
        "(Receive Maximum)."),
    limit<[](MqttLimits& l) -> Field { return IntegerField{&l.topic_alias_max, 0, 65535}; }>(
        "mqtt.topic_alias_max", "16",
        "Topic aliases that a client of MQTT 5 may use, and that are used towards it if it "
        "allows some. `0`: none."),
    limit<[](MqttLimits& l) -> Field { return IntegerField{&l.client_id_max, 23, 65535}; }>(
        "mqtt.client_id_max", "1024", "Longest client id in bytes."),
    limit<[](MqttLimits& l) -> Field { return IntegerField{&l.subscriptions_max, 1, 65535}; }>(
        "mqtt.subscriptions_max", "10000", "Filters of one connection."),
    limit<[](MqttLimits& l) -> Field {
      return SizeField{&l.output_max, 4 * KiB, 256 * MiB};
    }>("mqtt.output_max", "256KiB",
       "Bytes that wait for a client which reads too slowly. With more it is sent nothing new, and "
       "is served from the log later."),
    limit<[](MqttLimits& l) -> Field { return SizeField{&l.session_lag_bytes, 0, 1024 * TiB}; }>(
        "mqtt.session_lag_bytes", "0",
        "How far a client may be behind the end of a partition when it is served from the log, as "
        "it is back or has been slow: in bytes of the log, to about 64 KiB. Beyond, it goes on at "
        "the oldest record within, and what it skips is counted and logged. `0`: no limit."),
    limit<[](MqttLimits& l) -> Field {
      return DurationField{&l.session_lag_age, seconds(0), days(36'500)};
    }>("mqtt.session_lag_age", "0s",
       "The same by age: records older than this are skipped, to about a second. `0s`: no limit."),
    limit<[](MqttLimits& l) -> Field { return SizeField{&l.qos0_lag_bytes, 0, 1024 * TiB}; }>(
        "mqtt.qos0_lag_bytes", "0",
        "If this or `mqtt.qos0_lag_age` is set, they hold in place of `mqtt.session_lag_*` for "
        "clients whose filters are all of QoS 0; beyond, these go on at the end of the log. `0`: "
        "no limit."),
    limit<[](MqttLimits& l) -> Field {
      return DurationField{&l.qos0_lag_age, seconds(0), days(36'500)};
    }>("mqtt.qos0_lag_age", "0s", "The same by age. `0s`: no limit."),
    limit<[](MqttLimits& l) -> Field {
      return DurationField{&l.will_delay_max, seconds(0), days(365)};
    }>("mqtt.will_delay_max", "1d", "A longer will delay is cut to this. `0s`: no delays."),
    limit<[](MqttLimits& l) -> Field {
      return DurationField{&l.session_expiry_max, seconds(0), days(36'500)};
    }>("mqtt.session_expiry_max", "7d",
       "A longer session expiry interval is cut to this, and so are the sessions of MQTT 3.1.1 "
       "clients without Clean Session. What `log.retention` removes a session does not get. `0s`: "
       "no session outlives its connection."),
    limit<[](MqttLimits& l) -> Field { return BoolField{&l.offline_qos0}; }>(
        "mqtt.offline_qos0", "false",
        "Whether a session also gets what was published while its client was away where it reads "
        "at QoS 0."),
    limit<[](MqttLimits& l) -> Field {
      return DurationField{&l.delay_max, seconds(0), days(365)};
    }>("mqtt.delay_max", "50d",
       "Longest delay of a message published to `$delayed/<seconds>/<topic>`. `0s`: such topics "
       "are refused."),
    limit<[](MqttLimits& l) -> Field {
      return DurationField{&l.keep_alive_max, seconds(0), seconds(65535)};
    }>("mqtt.keep_alive_max", "0s",
       "Longest keep-alive time; clients of MQTT 5 that ask for more, or for none, are told "
       "this one. `0s`: no limit."),
    limit<[](MqttLimits& l) -> Field {
      return DurationField{&l.connect_timeout, seconds(1), hours(1)};
    }>("mqtt.connect_timeout", "10s", "A connection that has not sent CONNECT by then is closed."),
    limit<[](MqttLimits& l) -> Field {
      return IntegerField{&l.client_message_rate, 0, 10'000'000};
    }>("mqtt.client_message_rate", "0",
       "Messages per second that a client may publish; as many may come at once. `0`: no limit."),
    limit<[](MqttLimits& l) -> Field { return SizeField{&l.client_byte_rate, 0, 4 * GiB}; }>(
        "mqtt.client_byte_rate", "0",
        "Bytes per second of topics, properties and payloads that a client may publish. `0`: no "
        "limit."),
    limit<[](MqttLimits& l) -> Field {
      return ChoiceField{&l.rate_action, {"throttle", "drop", "disconnect"}};
    }>("mqtt.rate_action", "throttle",
       "What becomes of a message beyond a rate: `throttle`, its client is not read from until it "
       "is "
       "its turn; `drop`, it is dropped, at QoS 1 and 2 refused in MQTT 5 and throttled in 3.1.1; "
       "`disconnect`, its client is."),
    limit<[](MqttLimits& l) -> Field { return BoolField{&l.check_payload_format}; }>(
        "mqtt.check_payload_format", "false",
        "Refuse messages whose payload is not UTF-8 although their payload format indicator "
        "says so (MQTT 5)."),
    limit<[](MqttLimits& l) -> Field { return TextField{&l.response_information}; }>(
        "mqtt.response_information", "",
        "Topic under which a client of MQTT 5 may have responses sent, told to those that ask; "
        "`%c` stands for the client id, `%u` for the user, such as `reply/%c`. Rules have to "
        "permit it. Empty: none."),
    limit<[](MqttLimits& l) -> Field { return TextField{&l.server_reference}; }>(
        "mqtt.server_reference", "",
        "Other servers, as HOST:PORT separated by spaces, that clients of MQTT 5 are sent to "
        "when this one stops."),

    Option{"kafka.port", "9092", "TCP port for the Kafka protocol.",
           [](Config& c) -> Field { return PortField{&c.kafka.port}; }},
    Option{"kafka.tls_port", "off",
           "TCP port for the Kafka protocol over TLS, by convention 9093. Needs `tls.certificate`.",
           [](Config& c) -> Field { return PortField{&c.kafka.tls_port}; }},
    Option{"kafka.address", "127.0.0.1", "Numeric address to listen on.",
           [](Config& c) -> Field { return TextField{&c.kafka.address}; }},
    Option{
        "kafka.advertised", "",
        "HOST:PORT at which clients without TLS are told to find the hub. Empty: the address that "
        "they have connected to.",
        [](Config& c) -> Field { return TextField{&c.kafka.advertised}; }},
    Option{
        "kafka.tls_advertised", "",
        "The same for clients that have come by `kafka.tls_port`. The certificate must hold HOST.",
        [](Config& c) -> Field { return TextField{&c.kafka.tls_advertised}; }},
    Option{"kafka.auto_create", "true",
           "Creates a missing topic when a client that asks for it allows it. MQTT filters that "
           "begin with a wildcard don't "
           "cover such topics.",
           [](Config& c) -> Field { return BoolField{&c.kafka.auto_create}; }},
    Option{"kafka.auto_create_max", "1000",
           "No topic is created by being asked for once there are so many streams.",
           [](Config& c) -> Field { return IntegerField{&c.kafka.auto_create_max, 0, 1'000'000}; }},
    Option{
        "kafka.request_max", "16MiB",
        "Largest request. A larger one closes its connection. Must fit into a file of the journal.",
        [](Config& c) -> Field { return SizeField{&c.kafka.request_max, KiB, 256 * MiB}; }},
    Option{"kafka.idle_timeout", "10m", "A connection without a request for so long is closed.",
           [](Config& c) -> Field {
             return DurationField{&c.kafka.idle_timeout, seconds(1), days(1)};
           }},
    Option{"kafka.group_initial_rebalance_delay", "0s",
           "How long the first member of an empty consumer group waits for others to join.",
           [](Config& c) -> Field {
             return DurationField{&c.kafka.group_initial_rebalance_delay, seconds(0), minutes(5)};
           }},
    Option{"kafka.offsets_retention", "7d",
           "A group's offsets are forgotten when none of its members has read their topic for so "
           "long.",
           [](Config& c) -> Field {
             return DurationField{&c.kafka.offsets_retention, minutes(1), days(3650)};
           }},

    Option{"admin.port", "8090", "TCP port for `/metrics`, `/healthz` and `/readyz` over HTTP.",
           [](Config& c) -> Field { return PortField{&c.admin.port}; }},
    Option{"admin.address", "127.0.0.1", "Numeric address to listen on.",
           [](Config& c) -> Field { return TextField{&c.admin.address}; }},

    Option{"log.durability", "disk",
           "When a message is acknowledged: `disk`, once it is synced; `os`, once the operating "
           "system has it, which "
           "survives a killed process but not a lost machine.",
           [](Config& c) -> Field { return ChoiceField{&c.log.durability, {"disk", "os"}}; }},
    Option{"log.direct_io", "true",
           "Write and read past the page cache of the operating system: less work per byte, and "
           "steadier. `false` helps where readers that are further behind than `log.tail_cache` "
           "meet a slow disk. A file system without direct I/O is used as with `false`.",
           [](Config& c) -> Field { return BoolField{&c.log.direct_io}; }},
    Option{"log.retention", "7d",
           "How long a stream keeps its records, unless it says otherwise. `0s`: for ever.",
           [](Config& c) -> Field {
             return DurationField{&c.log.retention, seconds(0), days(36'500)};
           }},
    Option{"log.retention_bytes", "10GiB",
           "How much a stream keeps, over all its partitions, unless it says otherwise. `0`: no "
           "limit.",
           [](Config& c) -> Field { return SizeField{&c.log.retention_bytes, 0, 1024 * TiB}; }},
    Option{"log.retention_interval", "1m",
           "How often it is looked for records that are kept no longer.",
           [](Config& c) -> Field {
             return DurationField{&c.log.retention_interval, Milliseconds(100), hours(1)};
           }},
    Option{"log.segment_size", "64MiB",
           "Size of the files that a partition is stored in; retention deletes whole files.",
           [](Config& c) -> Field { return SizeField{&c.log.segment_size, MiB, 2 * GiB - 1}; }},
    Option{"log.journal_size", "64MiB", "Size of one journal file.",
           [](Config& c) -> Field { return SizeField{&c.log.journal_size, MiB, GiB}; }},
    Option{"log.journal_files", "4", "Journal files of each shard, written in turn.",
           [](Config& c) -> Field { return IntegerField{&c.log.journal_files, 2, 16}; }},
    Option{"log.tail_cache", "64MiB",
           "Memory of each shard for the newest records, from which readers at the end are fed.",
           [](Config& c) -> Field { return SizeField{&c.log.tail_cache, MiB, 64 * GiB}; }},
    Option{"log.read_cache", "16MiB",
           "Memory of each shard for readers that are further behind than `log.tail_cache`, taken "
           "when it is first needed. A quarter of it keeps what was read last, for others at about "
           "the same place; the rest is on its way to clients, and more than that is not kept.",
           [](Config& c) -> Field { return SizeField{&c.log.read_cache, 8 * MiB, 64 * GiB}; }},
    Option{"log.compaction_map", "32MiB",
           "Memory of each shard for the keys of a stream that is being compacted; with more keys "
           "than "
           "fit, compaction takes several passes.",
           [](Config& c) -> Field { return SizeField{&c.log.compaction_map, MiB, 16 * GiB}; }},
    Option{
        "log.key_index_memory", "32MiB",
        "Memory of each shard for the keys of segments that are being written, of which each full "
        "segment's index is made: who is far behind and wants few topics need not read the "
        "others. With more keys than fit, indexes are made later and only where they are "
        "missed. `0`: there are none.",
        [](Config& c) -> Field { return SizeField{&c.log.key_index_memory, 0, 16 * GiB}; }},
    Option{"log.checkpoint_interval", "10s",
           "Longest time between two checkpoints; a start replays what came after the last.",
           [](Config& c) -> Field {
             return DurationField{&c.log.checkpoint_interval, Milliseconds(100), hours(1)};
           }},
    Option{"log.partitions", "1",
           "Partitions of a new stream, unless it says otherwise. The default stream `mqtt` always "
           "has one, so that plain "
           "MQTT keeps one order.",
           [](Config& c) -> Field { return IntegerField{&c.log.partitions, 1, 1024}; }},
};

}  // namespace

std::span<const Option> options() { return table; }

std::string environment_name(std::string_view name) {
  std::string out = "SLUICE_";
  for (const char c : name) {
    if (c == '.')
      out += "__";
    else
      out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

}  // namespace sluice::server
