#include "server/config_checks.h"

#include <algorithm>
#include <array>

#include "base/units.h"
#include "kafka_stream/options.h"
#include "runtime/loop.h"
#include "server/listener_plan.h"
#include "server/tls_files.h"
#include "server/users_file.h"

namespace sluice::server {
namespace {

// What a record's batch and its journal entry add to a packet or request; generous.
constexpr std::uint64_t journal_overhead = 64 << 10;

constexpr std::size_t named_listeners_max = 64;

bool is_local(std::string_view address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("unix:");
}

Result<void> check_named_listener(const std::string& name, const Config::MqttListener& listener) {
  constexpr std::array taken{"admin", "kafka", "kafkas", "mqtt", "mqtts", "ws", "wss"};
  if (std::ranges::find(taken, name) != taken.end())
    return fail(Errc::malformed, "mqtt.listener.{0}: {0} is the name of another listener", name);
  if (!listener.address.starts_with("unix:")) {
    if (listener.port) return {};
    return fail(Errc::malformed,
                "mqtt.listener.{}.port is missing; 0 is any free one. A Unix socket needs none: "
                "address = \"unix:/path\"",
                name);
  }
  if (listener.port)
    return fail(Errc::malformed, "mqtt.listener.{}.port: a Unix socket has none", name);
  if (!listener.address.starts_with("unix:/"))
    return fail(Errc::malformed,
                "mqtt.listener.{}.address: '{}' has no absolute path, such as unix:/run/hub.sock",
                name, listener.address);
  return {};
}

Result<void> check_named_listeners(const Config& config) {
  if (config.mqtt.listeners.size() > named_listeners_max)
    return fail(Errc::malformed, "there are more than {} sections [mqtt.listener.NAME]",
                named_listeners_max);
  for (const auto& [name, listener] : config.mqtt.listeners)
    SLUICE_TRY(check_named_listener(name, listener));
  return {};
}

Result<void> check_listener(const Config& config, bool has_users, const ListenerPlan& plan) {
  const auto endpoint = runtime::parse_endpoint(runtime::to_string({plan.address, plan.port}));
  if (!endpoint || (runtime::is_unix(*endpoint) && plan.own_table == nullptr))
    return fail(Errc::malformed, "{}: '{}' is no numeric address such as 127.0.0.1 or ::1{}",
                plan.address_setting, plan.address,
                plan.own_table == nullptr ? "" : ", nor unix: with a path of at most 107 bytes");
  if (is_local(plan.address) || config.access.allow_anonymous || has_users) return {};
  return fail(
      Errc::malformed,
      "{0}: {1} can be reached from other machines, and there are no users in {2}: "
      "everybody there could read and write everything. Add a user by `sluice user add NAME "
      "--file {2}`. To let everybody in, set access.allow_anonymous = true",
      plan.address_setting, plan.address, users_path(config));
}

Result<void> check_certificate(const Config::Tls& tls, const ListenerPlan& plan) {
  if (!net::has_tls(plan.transport)) return {};
  const bool has_certificate = !tls.certificate.empty();
  if (has_certificate && !tls.key.empty()) {
    SLUICE_TRY(load_tls(tls, 0));  // dates are looked at when it is put to use
    return {};
  }
  return fail(Errc::malformed, "{} needs a {}: add {} = \"{}\" to the section [tls]", plan.setting,
              has_certificate ? "key" : "certificate", has_certificate ? "key" : "certificate",
              has_certificate ? "/path/to/server.key" : "/path/to/server.crt");
}

Result<void> check_client_certificates(const Config::Tls& tls) {
  if (tls.client_certificates == "off" || !tls.client_ca.empty()) return {};
  return fail(Errc::malformed,
              "tls.client_certificates = {} needs an authority to check them by: add client_ca = "
              "\"/path/to/ca.crt\" to the section [tls]",
              tls.client_certificates);
}

Result<void> check_cluster(const Config::KafkaCluster& cluster) {
  if (cluster.brokers.empty())
    return fail(
        Errc::malformed,
        "stream.backend = kafka needs a cluster: add brokers = \"HOST:PORT\" to the section "
        "[kafka_cluster]");
  if (cluster.properties_file.empty()) return {};
  const auto properties = kafka_stream::read_properties_file(cluster.properties_file);
  if (properties) return {};
  return fail(properties.error().code, "kafka_cluster.properties_file: {}",
              properties.error().text);
}

Result<void> check_lag_on_cluster(std::string_view section, const Config::MqttLimits& limits) {
  if (limits.session_lag_bytes == 0 && limits.qos0_lag_bytes == 0) return {};
  return fail(Errc::malformed,
              "{0}.{1}_lag_bytes: a Kafka cluster does not tell how many bytes a client is behind; "
              "set {0}.{1}_lag_age",
              section, limits.session_lag_bytes != 0 ? "session" : "qos0");
}

Result<void> check_lag_on_cluster(const Config::Mqtt& mqtt) {
  SLUICE_TRY(check_lag_on_cluster("mqtt", mqtt.limits));
  for (const auto& [name, listener] : mqtt.listeners)
    SLUICE_TRY(check_lag_on_cluster("mqtt.listener." + name, listener.limits));
  return {};
}

Result<void> check_fits_journal(const Config& config, std::string_view name, std::uint64_t size) {
  if (size + journal_overhead <= config.log.journal_size) return {};
  return fail(
      Errc::malformed,
      "{} = {} does not fit into a journal file: log.journal_size = {} (less {} of overhead)", name,
      format_size(size), format_size(config.log.journal_size), format_size(journal_overhead));
}

Result<void> check_advertised(std::string_view option, std::string_view address) {
  if (!address.empty() && address.rfind(':') == std::string_view::npos)
    return fail(Errc::malformed, "{}: '{}' is no HOST:PORT", option, address);
  return {};
}

}  // namespace

Result<void> check_config(const Config& config) {
  if (config.server.data_dir.empty()) return fail(Errc::malformed, "server.data_dir is empty");
  SLUICE_TRY_ASSIGN(const auto users, load_users(config));
  const bool has_users = users != nullptr && !users->empty();
  SLUICE_TRY(check_client_certificates(config.tls));
  SLUICE_TRY(check_named_listeners(config));
  for (const ListenerPlan& plan : planned_listeners(config)) {
    SLUICE_TRY(check_listener(config, has_users, plan));
    SLUICE_TRY(check_certificate(config.tls, plan));
  }
  if (config.stream.backend == "kafka") {
    SLUICE_TRY(check_cluster(config.kafka_cluster));
    SLUICE_TRY(check_lag_on_cluster(config.mqtt));
  }
  SLUICE_TRY(check_advertised("kafka.advertised", config.kafka.advertised));
  SLUICE_TRY(check_advertised("kafka.tls_advertised", config.kafka.tls_advertised));
  SLUICE_TRY(check_fits_journal(config, "mqtt.packet_max", config.mqtt.limits.packet_max));
  for (const auto& [name, listener] : config.mqtt.listeners)
    SLUICE_TRY(check_fits_journal(config, fmt::format("mqtt.listener.{}.packet_max", name),
                                  listener.limits.packet_max));
  return check_fits_journal(config, "kafka.request_max", config.kafka.request_max);
}

}  // namespace sluice::server
