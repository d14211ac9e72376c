#include "cli/mqtt_client.h"

#include <fmt/format.h>
#include <mqtt_protocol.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace sluice::cli {
namespace {

constexpr int keep_alive_s = 60;
constexpr auto answer_timeout = std::chrono::seconds(10);
constexpr int first_failure_reason = 0x80;  // MQTT 5, section 2.4

Result<void> check(int code, std::string_view what) {
  if (code == MOSQ_ERR_SUCCESS) return {};
  return fail(Errc::io, "{}: {}", what,
              code == MOSQ_ERR_ERRNO ? std::strerror(errno) : mosquitto_strerror(code));
}

struct PropertyList {
  mosquitto_property* head = nullptr;
  ~PropertyList() { mosquitto_property_free_all(&head); }
};

UserProperties user_properties(const mosquitto_property* list) {
  UserProperties out;
  for (const auto* at = list; at != nullptr; at = mosquitto_property_next(at)) {
    if (mosquitto_property_identifier(at) != MQTT_PROP_USER_PROPERTY) continue;
    char* name = nullptr;
    char* value = nullptr;
    mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &name, &value, false);
    out.emplace_back(name, value);
    std::free(name);
    std::free(value);
  }
  return out;
}

// libmosquitto is set up once per process.
void init_library() {
  static const int initialized = mosquitto_lib_init();
  static_cast<void>(initialized);
}

}  // namespace

MqttClient::MqttClient() {
  init_library();
  client_ = mosquitto_new(nullptr, true, this);
  mosquitto_int_option(client_, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  set_callbacks();
}

MqttClient::~MqttClient() {
  mosquitto_disconnect(client_);
  mosquitto_destroy(client_);
}

void MqttClient::set_callbacks() {
  mosquitto_connect_v5_callback_set(
      client_, [](mosquitto*, void* self, int reason, int, const mosquitto_property*) {
        static_cast<MqttClient*>(self)->connect_reason_ = reason;
      });
  mosquitto_subscribe_v5_callback_set(client_, [](mosquitto*, void* self, int, int count,
                                                  const int* granted, const mosquitto_property*) {
    static_cast<MqttClient*>(self)->on_subscribed({granted, static_cast<std::size_t>(count)});
  });
  mosquitto_publish_v5_callback_set(
      client_, [](mosquitto*, void* self, int id, int reason, const mosquitto_property*) {
        static_cast<MqttClient*>(self)->on_published(id, reason);
      });
  mosquitto_message_v5_callback_set(
      client_, [](mosquitto*, void* self, const mosquitto_message* message,
                  const mosquitto_property* properties) {
        const auto size = static_cast<std::size_t>(message->payloadlen);
        const std::string payload(static_cast<const char*>(message->payload), size);
        static_cast<MqttClient*>(self)->on_message_(
            {message->topic, payload, message->qos, message->retain, user_properties(properties)});
      });
}

Result<void> MqttClient::set_login(const Login& login) {
  if (!login.user.empty())
    SLUICE_TRY(check(mosquitto_username_pw_set(client_, login.user.c_str(), login.password.c_str()),
                     "--user"));
  if (login.ca_file.empty()) return {};
  return check(
      mosquitto_tls_set(client_, login.ca_file.c_str(), nullptr, nullptr, nullptr, nullptr),
      fmt::format("--tls-ca {}", login.ca_file));
}

Result<std::unique_ptr<MqttClient>> MqttClient::connect(const HostPort& address,
                                                        const Login& login) {
  const std::string what = fmt::format("MQTT on {}", to_string(address));
  std::unique_ptr<MqttClient> client(new MqttClient);
  SLUICE_TRY(client->set_login(login));
  SLUICE_TRY(check(
      mosquitto_connect(client->client_, address.host.c_str(), address.port, keep_alive_s), what));
  const auto deadline = std::chrono::steady_clock::now() + answer_timeout;
  while (!client->connect_reason_) {
    if (std::chrono::steady_clock::now() > deadline)
      return fail(Errc::io, "{}: no answer to CONNECT", what);
    // A refusal ends the connection, too; its reason says more than that.
    const auto turned = client->turn(100);
    if (!turned && !client->connect_reason_)
      return fail(Errc::io, "{}: {}{}", what, turned.error().text, login_hint(login));
  }
  if (*client->connect_reason_ != 0)
    return fail(Errc::unauthorized, "{}: refused: {}{}", what,
                mosquitto_reason_string(*client->connect_reason_),
                login.user.empty() ? login_hint(login) : "");
  return client;
}

Result<void> MqttClient::turn(int timeout_ms) {
  SLUICE_TRY(check(mosquitto_loop(client_, timeout_ms, 1), "MQTT connection"));
  if (refused_) return std::unexpected(*refused_);
  return {};
}

Result<void> MqttClient::publish(const std::string& topic, std::string_view payload, int qos,
                                 bool retain, const UserProperties& properties) {
  PropertyList list;
  for (const auto& [name, value] : properties)
    SLUICE_TRY(check(mosquitto_property_add_string_pair(&list.head, MQTT_PROP_USER_PROPERTY,
                                                        name.c_str(), value.c_str()),
                     fmt::format("property '{}'", name)));
  int id = 0;
  const int code =
      mosquitto_publish_v5(client_, &id, topic.c_str(), static_cast<int>(payload.size()),
                           payload.data(), qos, retain, list.head);
  if (code == MOSQ_ERR_INVAL || code == MOSQ_ERR_MALFORMED_UTF8)
    return fail(Errc::invalid, "'{}' is no topic to publish to: no wildcards, UTF-8, not empty",
                topic);
  SLUICE_TRY(check(code, fmt::format("publish to '{}'", topic)));
  unpublished_.insert(id);
  while (unpublished_.size() >= window) SLUICE_TRY(turn(100));
  return {};
}

Result<void> MqttClient::wait_until_published() {
  while (!unpublished_.empty()) SLUICE_TRY(turn(100));
  return {};
}

void MqttClient::on_published(int id, int reason) {
  unpublished_.erase(id);
  if (reason >= first_failure_reason)
    refused_ = Error{
        Errc::io, fmt::format("the hub refused the message: {}", mosquitto_reason_string(reason))};
}

Result<void> MqttClient::subscribe(
    std::span<const std::string> filters, int qos,
    std::move_only_function<void(const ReceivedMessage&)> on_message) {
  on_message_ = std::move(on_message);
  subscribing_.assign(filters.begin(), filters.end());
  std::vector<char*> names;
  for (std::string& filter : subscribing_) {
    if (mosquitto_sub_topic_check(filter.c_str()) != MOSQ_ERR_SUCCESS)
      return fail(Errc::invalid, "'{}' is no topic filter", filter);
    names.push_back(filter.data());
  }
  SLUICE_TRY(check(mosquitto_subscribe_multiple(client_, nullptr, static_cast<int>(names.size()),
                                                names.data(), qos, 0, nullptr),
                   "subscribe"));
  while (!subscribed_) SLUICE_TRY(turn(100));
  return {};
}

void MqttClient::on_subscribed(std::span<const int> granted) {
  subscribed_ = true;
  for (std::size_t i = 0; i < granted.size() && i < subscribing_.size(); ++i)
    if (granted[i] >= first_failure_reason)
      refused_ = Error{Errc::io, fmt::format("the hub refused the filter '{}': {}", subscribing_[i],
                                             mosquitto_reason_string(granted[i]))};
}

}  // namespace sluice::cli
