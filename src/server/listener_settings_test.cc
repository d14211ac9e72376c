// [mqtt.listener.NAME]: from settings to what modules are told.

#include <gtest/gtest.h>

#include <algorithm>

#include "server/config_checks.h"
#include "server/hub_options.h"
#include "server/settings.h"
#include "server/settings_from_file_test.h"

namespace sluice::server {
namespace {

class ListenerSettingsTest : public SettingsFromFile {
 protected:
  // What the listener of that name comes to.
  mqtt::ListenerOptions options_of(const Config& config, std::string_view name) {
    const auto plans = planned_listeners(config);
    const auto plan = std::ranges::find(plans, name, &ListenerPlan::name);
    EXPECT_NE(plan, plans.end()) << name;
    return mqtt_listener_options(config, *plan);
  }
};

TEST_F(ListenerSettingsTest, AListenerHasItsOwnSettingsAndElseThoseOfMqtt) {
  write_file(
      "[mqtt.listener.edge]\nport = 0\nproxy_protocol = \"required\"\nconnections_max = 5\n"
      "packet_max = \"1MiB\"\nmessage_rate = 100\nclient_message_rate = 10\n"
      "rate_action = \"drop\"\n"
      "[mqtt]\nkeep_alive_max = \"60s\"\npacket_max = \"2MiB\"\n");
  const auto settings = load_settings(sources_);
  ASSERT_TRUE(settings) << settings.error().text;
  const auto edge = options_of(settings->config, "edge");
  EXPECT_TRUE(edge.proxy_protocol);
  EXPECT_EQ(edge.connections_max, 5u);
  EXPECT_EQ(edge.rates.messages, 100u);
  EXPECT_EQ(edge.limits.client_rates.messages, 10u);
  EXPECT_EQ(edge.limits.rate_action, mqtt::RateAction::drop);
  EXPECT_EQ(edge.limits.packet_max, 1u << 20);
  EXPECT_EQ(edge.limits.keep_alive_max_s, 60) << "wherever [mqtt] stands";
  const auto plain = options_of(settings->config, "mqtt");
  EXPECT_EQ(plain.limits.packet_max, 2u << 20);
  EXPECT_FALSE(plain.proxy_protocol);
  EXPECT_FALSE(plain.rates.limited());
}

TEST_F(ListenerSettingsTest, AListenerHasLagLimitsOfItsOwn) {
  using std::chrono::hours;
  write_file(
      "[mqtt.listener.edge]\nport = 0\nsession_lag_bytes = \"1MiB\"\nqos0_lag_bytes = \"2MiB\"\n"
      "[mqtt]\nsession_lag_age = \"1h\"\nqos0_lag_age = \"2h\"\n");
  const auto settings = load_settings(sources_);
  ASSERT_TRUE(settings) << settings.error().text;
  const hub::LagLimits edge = options_of(settings->config, "edge").limits.lag;
  EXPECT_EQ(edge.any, (hub::LagLimit{.bytes = 1 << 20, .age = hours(1)}));
  EXPECT_EQ(edge.qos0, (hub::LagLimit{.bytes = 2 << 20, .age = hours(2)}));
  const hub::LagLimits plain = options_of(settings->config, "mqtt").limits.lag;
  EXPECT_EQ(plain.any, hub::LagLimit{.age = hours(1)});
  EXPECT_EQ(plain.qos0, hub::LagLimit{.age = hours(2)});
}

TEST_F(ListenerSettingsTest, FlagsAndEnvironmentReachAListenerToo) {
  write_file("[mqtt.listener.edge]\nport = 1\naddress = \"::1\"\n");
  sources_.environment = {{"SLUICE_MQTT__LISTENER__EDGE__PORT", "2"},
                          {"SLUICE_MQTT__LISTENER__EDGE__TRANSPORT", "ws"}};
  sources_.assignments = {"mqtt.listener.edge.port=3", "mqtt.output_max=8KiB"};
  const auto settings = load_settings(sources_);
  ASSERT_TRUE(settings) << settings.error().text;
  const auto& edge = settings->config.mqtt.listeners.at("edge");
  EXPECT_EQ(edge.port, 3);
  EXPECT_EQ(edge.address, "::1");
  EXPECT_EQ(edge.transport, "ws");
  EXPECT_EQ(edge.limits.output_max, 8u << 10) << "a flag for [mqtt] counts as well";
  EXPECT_EQ(settings->origins.at("mqtt.listener.edge.port"), "--set");
  EXPECT_EQ(settings->origins.at("mqtt.listener.edge.transport"),
            "SLUICE_MQTT__LISTENER__EDGE__TRANSPORT");
  EXPECT_EQ(settings->origins.at("mqtt.listener.edge.output_max"), "mqtt.output_max");
  EXPECT_EQ(settings->origins.at("mqtt.listener.edge.byte_rate"), "default");
}

TEST_F(ListenerSettingsTest, AnUnknownKeyNamesFileLineAndTheNearestKey) {
  write_file("[mqtt.listener.edge]\nport = 1\npaket_max = \"1MiB\"\n");
  EXPECT_EQ(error(), path_ +
                         ":3: unknown setting 'mqtt.listener.edge.paket_max'; did you mean "
                         "'mqtt.listener.edge.packet_max'?");
  write_file("[mqtt.listener.edge]\nport = 1\nconnections_max = -1\n");
  EXPECT_EQ(error(), path_ +
                         ":3: mqtt.listener.edge.connections_max: '-1' is out of range: 0 to "
                         "100000000");
  write_file("[mqtt.listener.edge]\nport = 1\nws_origins = \"*\"\n");
  EXPECT_EQ(error(), path_ + ":3: unknown setting 'mqtt.listener.edge.ws_origins'")
      << "of [mqtt] alone";
}

TEST_F(ListenerSettingsTest, SectionsAreNamedWhenTheyAreNoListeners) {
  write_file("[mqtt.listener.edge]\n");
  EXPECT_EQ(error(), path_ + ":1: the section [mqtt.listener.edge] is empty");
  write_file("[mqtt]\nlistener = 1\n");
  EXPECT_EQ(error(), path_ + ":2: unknown setting 'mqtt.listener'");
  write_file("[mqtt.listener]\nport = 1\n");
  EXPECT_EQ(error(), path_ + ":2: unknown setting 'mqtt.listener.port'");
  write_file("[kafka.listener.edge]\nport = 1\n");
  EXPECT_EQ(error(), path_ + ":2: unknown setting 'kafka.listener.edge.port'");
  write_file("[mqtt.listener.edge.tls]\nport = 1\n");
  EXPECT_EQ(error(), path_ + ":2: unknown setting 'mqtt.listener.edge.tls.port'");
}

TEST_F(ListenerSettingsTest, NamesAreShortAndPlainAndNotTaken) {
  for (const std::string name : {"Edge", "a b", "a__b", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    write_file("[mqtt.listener.\"" + name + "\"]\nport = 1\n");
    EXPECT_NE(error().find("a listener's name is 1 to 32 of"), std::string::npos) << error();
  }
  for (const std::string name : {"mqtt", "wss", "kafka", "admin"}) {
    write_file("[mqtt.listener." + name + "]\nport = 1\n");
    EXPECT_EQ(error(), "mqtt.listener." + name + ": " + name + " is the name of another listener");
  }
}

TEST_F(ListenerSettingsTest, AnAddressIsNumericOrAUnixSocketAndHasItsPort) {
  const auto error_of = [this](std::string_view settings) {
    write_file(fmt::format("[mqtt.listener.edge]\n{}\n", settings));
    return error();
  };
  EXPECT_EQ(error_of("address = \"unix:/run/sluice/mqtt.sock\""), "");
  EXPECT_EQ(error_of("address = \"::1\"\nport = 0"), "");
  EXPECT_EQ(error_of("address = \"::1\""),
            "mqtt.listener.edge.port is missing; 0 is any free one. A Unix socket needs none: "
            "address = \"unix:/path\"");
  EXPECT_EQ(error_of("address = \"unix:/run/mqtt.sock\"\nport = 1"),
            "mqtt.listener.edge.port: a Unix socket has none");
  EXPECT_EQ(error_of("address = \"unix:mqtt.sock\""),
            "mqtt.listener.edge.address: 'unix:mqtt.sock' has no absolute path, such as "
            "unix:/run/hub.sock");
  EXPECT_EQ(error_of("address = \"localhost\"\nport = 1"),
            "mqtt.listener.edge.address: 'localhost' is no numeric address such as 127.0.0.1 or "
            "::1, nor unix: with a path of at most 107 bytes");
  EXPECT_NE(error_of("address = \"::\"\nport = 1").find(":: can be reached from other machines"),
            std::string::npos);
  EXPECT_EQ(error_of("port = 1\ntransport = \"tls\""),
            "mqtt.listener.edge.port needs a certificate: add certificate = "
            "\"/path/to/server.crt\" to the section [tls]");
  EXPECT_NE(error_of("port = 1\npacket_max = \"128MiB\"")
                .find("mqtt.listener.edge.packet_max = 128MiB does not fit into a journal file"),
            std::string::npos);
  sources_ = {};
  sources_.assignments = {"mqtt.address=unix:/run/mqtt.sock"};
  EXPECT_EQ(error(),
            "mqtt.address: 'unix:/run/mqtt.sock' is no numeric address such as 127.0.0.1 or ::1");
}

TEST_F(ListenerSettingsTest, ADumpHoldsListenersAndGivesTheSameAgain) {
  write_file("[mqtt.listener.edge]\nport = 1\nbyte_rate = \"1MiB\"\n[mqtt]\nmax_inflight = 7\n");
  auto settings = load_settings(sources_);
  ASSERT_TRUE(settings) << settings.error().text;
  const std::string text = dump(*settings);
  EXPECT_NE(text.find("\n[mqtt.listener.edge]\n"), std::string::npos);
  EXPECT_NE(text.find("\nmax_inflight = 7  # mqtt.max_inflight\n"), std::string::npos);
  write_file(text);
  auto again = load_settings(sources_);
  ASSERT_TRUE(again) << again.error().text;
  const auto written = all_settings(settings->config);
  const auto read = all_settings(again->config);
  ASSERT_EQ(read.size(), written.size());
  for (std::size_t i = 0; i < read.size(); ++i)
    EXPECT_EQ(format_field(read[i].field), format_field(written[i].field)) << read[i].name;
}

TEST_F(ListenerSettingsTest, ExplainKnowsAListenerWhetherItIsConfiguredOrNot) {
  write_file("[mqtt.listener.edge]\nport = 7\n");
  const auto settings = load_settings(sources_);
  ASSERT_TRUE(settings) << settings.error().text;
  const auto port = explain(*settings, "mqtt.listener.edge.port");
  ASSERT_TRUE(port);
  EXPECT_NE(port->find("SLUICE_MQTT__LISTENER__EDGE__PORT"), std::string::npos);
  EXPECT_NE(port->find("7  (" + path_ + ":2)"), std::string::npos) << *port;
  const auto other = explain(*settings, "mqtt.listener.other.packet_max");
  ASSERT_TRUE(other);
  EXPECT_NE(other->find("that of mqtt.packet_max"), std::string::npos) << *other;
  EXPECT_NE(other->find("16MiB  (default)"), std::string::npos) << *other;
  EXPECT_EQ(explain(*settings, "mqtt.listener.edge.prt").error().text,
            "unknown setting 'mqtt.listener.edge.prt'; did you mean 'mqtt.listener.edge.port'?");
}

TEST(MqttConnections, WithoutASettingSomeDescriptorsAreLeftForFiles) {
  auto settings = load_settings({});
  EXPECT_EQ(mqtt_connections_max(settings->config, 1000), 900u);
  settings->config.mqtt.connections_max = 5000;
  EXPECT_EQ(mqtt_connections_max(settings->config, 1000), 5000u);
}

}  // namespace
}  // namespace sluice::server
