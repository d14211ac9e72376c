#include "server/settings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "server/commands.h"
#include "server/config_checks.h"
#include "server/config_file.h"
#include "server/settings_from_file_test.h"
#include "sim/temp_dir.h"

namespace sluice::server {
namespace {

class SettingsTest : public SettingsFromFile {};

std::string set_error(std::string_view name, std::string_view text) {
  Config config;
  const auto done = set_field(find_setting(config, name)->field, text);
  return done ? "" : done.error().text;
}

TEST_F(SettingsTest, DefaultsAreThoseOfTheTable) {
  const auto settings = load_settings({});
  ASSERT_TRUE(settings) << settings.error().text;
  const Config& config = settings->config;
  EXPECT_EQ(config.mqtt.port, 1883);
  EXPECT_EQ(config.server.shards, 0);
  EXPECT_EQ(config.log.journal_size, 64u << 20);
  EXPECT_EQ(config.log.retention, std::chrono::days(7));
  EXPECT_EQ(config.log.retention_bytes, 10ull << 30);
  EXPECT_TRUE(config.kafka.auto_create);
}

TEST_F(SettingsTest, FlagsWinOverEnvironmentOverFileOverDefault) {
  write_file(
      "[mqtt]\nport = 1\npacket_max = \"1MiB\"\n[kafka]\nport = 2\n[admin]\nport = \"off\"\n");
  sources_.environment = {{"SLUICE_MQTT__PORT", "3"}, {"SLUICE_KAFKA__PORT", "4"}};
  sources_.assignments = {"mqtt.port=5"};
  auto settings = load_settings(sources_);
  ASSERT_TRUE(settings) << settings.error().text;
  EXPECT_EQ(settings->config.mqtt.port, 5);
  EXPECT_EQ(settings->config.kafka.port, 4);
  EXPECT_EQ(settings->config.admin.port, std::nullopt);
  EXPECT_EQ(settings->config.mqtt.limits.packet_max, 1u << 20);
  EXPECT_EQ(settings->origins["mqtt.port"], "--set");
  EXPECT_EQ(settings->origins["kafka.port"], "SLUICE_KAFKA__PORT");
  EXPECT_EQ(settings->origins["mqtt.packet_max"], path_ + ":3");
  EXPECT_EQ(settings->origins["mqtt.address"], "default");
}

TEST_F(SettingsTest, AnUnknownKeyInAFileNamesFileLineAndTheNearestKey) {
  write_file("[mqtt]\nport = 1883\n\nadress = \"127.0.0.1\"\n");
  EXPECT_EQ(error(), path_ + ":4: unknown setting 'mqtt.adress'; did you mean 'mqtt.address'?");
}

TEST_F(SettingsTest, AnUnknownVariableOrFlagNamesTheNearestKey) {
  sources_.environment = {{"SLUICE_KAFKA__PROT", "1"}};
  EXPECT_EQ(error(),
            "environment variable SLUICE_KAFKA__PROT: unknown setting 'kafka.prot'; did you mean "
            "'kafka.port'?");
  sources_ = {};
  sources_.assignments = {"log.retension=1d"};
  EXPECT_EQ(error(), "--set: unknown setting 'log.retension'; did you mean 'log.retention'?");
}

TEST_F(SettingsTest, AWrongFlagIsWrongUsageAndAWrongFileIsNot) {
  sources_.assignments = {"mqtt.port=x"};
  EXPECT_EQ(load_settings(sources_).error().code, Errc::invalid);
  sources_ = {};
  write_file("[mqtt]\nport = \"x\"\n");
  EXPECT_EQ(load_settings(sources_).error().code, Errc::malformed);
}

TEST_F(SettingsTest, BrokenTomlNamesItsLine) {
  write_file("[mqtt]\nport = = 1\n");
  EXPECT_EQ(error().substr(0, path_.size() + 3), path_ + ":2:");
  write_file("port = 1\n");
  EXPECT_EQ(error(), path_ + ":1: 'port' stands outside of a section such as [mqtt]");
  write_file("[mqtt]\nport = [1]\n");
  EXPECT_EQ(error(), path_ + ":2: 'mqtt.port' is neither a string nor an integer nor a boolean");
}

TEST_F(SettingsTest, AMissingFileIsNamed) {
  sources_.file = path_;
  EXPECT_EQ(error(), "cannot read the configuration file " + path_ + ": No such file or directory");
}

TEST_F(SettingsTest, ADumpIsAFileThatGivesTheSameSettings) {
  sources_.assignments = {"mqtt.port=off", "log.retention=36h", "kafka.advertised=host:1",
                          "server.shards=3"};
  auto settings = load_settings(sources_);
  ASSERT_TRUE(settings);
  const std::string text = dump(*settings);
  write_file(text);
  sources_.assignments.clear();
  auto again = load_settings(sources_);
  ASSERT_TRUE(again) << again.error().text;
  const auto written = all_settings(settings->config);
  const auto read = all_settings(again->config);
  ASSERT_EQ(read.size(), written.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].name, written[i].name);
    EXPECT_EQ(format_field(read[i].field), format_field(written[i].field)) << read[i].name;
  }
}

TEST_F(SettingsTest, ExplainSaysValueAndOrigin) {
  sources_.assignments = {"mqtt.port=7"};
  auto settings = load_settings(sources_);
  const auto text = explain(*settings, "mqtt.port");
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("SLUICE_MQTT__PORT"), std::string::npos);
  EXPECT_NE(text->find("7  (--set)"), std::string::npos);
  EXPECT_EQ(explain(*settings, "mqtt.prt").error().text,
            "unknown setting 'mqtt.prt'; did you mean 'mqtt.port'?");
}

TEST(Field, EachTypeRefusesWhatItIsNot) {
  EXPECT_EQ(set_error("kafka.auto_create", "yes"), "'yes' is neither true nor false");
  EXPECT_EQ(set_error("log.durability", "tape"), "'tape' is none of: disk, os");
  EXPECT_EQ(set_error("mqtt.port", "65536"),
            "'65536' is no port: 1 to 65535, 0 for any free one, or off");
  EXPECT_EQ(set_error("server.shards", "65"), "'65' is out of range: 1 to 64 or auto");
  EXPECT_EQ(set_error("log.journal_size", "1KiB"), "'1KiB' is out of range: 1MiB to 1GiB");
  EXPECT_EQ(set_error("kafka.idle_timeout", "2d"), "'2d' is out of range: 1s to 1d");
  EXPECT_NE(set_error("kafka.idle_timeout", "10"), "");
}

TEST(Options, DefaultsAreValidAndNamesAreUnique) {
  for (const Option& option : options()) {
    EXPECT_EQ(set_error(option.name, option.default_value), "") << option.name;
    EXPECT_EQ(std::ranges::count(options(), option.name, &Option::name), 1) << option.name;
  }
}

class ChecksTest : public testing::Test {
 protected:
  ChecksTest() : config_(load_settings({})->config) {}
  std::string error() const {
    const auto done = check_config(config_);
    return done ? "" : done.error().text;
  }
  Config config_;
};

TEST_F(ChecksTest, BeyondLoopbackNeedsConsent) {
  config_.kafka.address = "0.0.0.0";
  EXPECT_NE(error().find("kafka.address: 0.0.0.0 can be reached from other machines"),
            std::string::npos);
  EXPECT_NE(error().find("access.allow_anonymous = true"), std::string::npos);
  config_.access.allow_anonymous = true;
  EXPECT_EQ(error(), "");
  config_.access.allow_anonymous = false;
  config_.kafka.port = std::nullopt;
  EXPECT_EQ(error(), "") << "a listener that is off reaches nobody";
}

TEST_F(ChecksTest, BeyondLoopbackUsersAreEnoughButAnEmptyFileIsNot) {
  const sim::TempDir directory;
  const std::string path = directory.file("users.toml");
  config_.access.users_file = path;
  config_.kafka.address = "0.0.0.0";
  EXPECT_NE(error().find("sluice user add NAME --file " + path), std::string::npos);
  std::ofstream(path) << "# nobody yet\n";
  EXPECT_NE(error().find("there are no users in " + path), std::string::npos);
  std::ofstream(path) << "[users.ann]\nrules = [\"allow all\"]\n";
  EXPECT_EQ(error(), "");
  std::ofstream(path) << "[users.ann]\nrules = [\"allow everything\"]\n";
  EXPECT_NE(error().find(path + ":2: user \"ann\""), std::string::npos) << error();
}

TEST_F(ChecksTest, AllLoopbackAddressesAreLoopback) {
  config_.mqtt.address = "::1";
  config_.kafka.address = "127.0.0.2";
  EXPECT_EQ(error(), "");
}

TEST_F(ChecksTest, AnAddressIsNumeric) {
  config_.mqtt.address = "localhost";
  EXPECT_EQ(error(), "mqtt.address: 'localhost' is no numeric address such as 127.0.0.1 or ::1");
}

TEST_F(ChecksTest, AListenerOfTlsNeedsACertificateAndItsKey) {
  config_.kafka.tls_port = 9093;
  EXPECT_EQ(error(),
            "kafka.tls_port needs a certificate: add certificate = \"/path/to/server.crt\" to the "
            "section [tls]");
  config_.tls.certificate = "a.crt";
  EXPECT_EQ(error(),
            "kafka.tls_port needs a key: add key = \"/path/to/server.key\" to the section [tls]");
  config_.tls.key = "a.key";
  EXPECT_EQ(error(), "tls.certificate: a.crt: No such file or directory");
}

TEST_F(ChecksTest, ClientCertificatesNeedAnAuthority) {
  config_.tls.client_certificates = "optional";
  EXPECT_EQ(error(),
            "tls.client_certificates = optional needs an authority to check them by: add client_ca "
            "= \"/path/to/ca.crt\" to the section [tls]");
  config_.tls.client_ca = "ca.crt";
  EXPECT_EQ(error(), "");
}

TEST_F(ChecksTest, AllListenersOfAFaceNeedConsentBeyondLoopback) {
  config_.mqtt.address = "0.0.0.0";
  config_.mqtt.port = std::nullopt;
  EXPECT_NE(error().find("mqtt.address: 0.0.0.0 can be reached"), std::string::npos)
      << "by WebSocket, which is on";
  config_.mqtt.ws_port = std::nullopt;
  EXPECT_EQ(error(), "");
}

TEST_F(ChecksTest, APacketFitsIntoAJournalFile) {
  config_.log.journal_size = 16u << 20;
  EXPECT_NE(
      error().find(
          "mqtt.packet_max = 16MiB does not fit into a journal file: log.journal_size = 16MiB"),
      std::string::npos);
}

TEST_F(ChecksTest, OnAClusterALagIsLimitedByAge) {
  config_.stream.backend = "kafka";
  config_.kafka_cluster.brokers = "127.0.0.1:1";
  config_.mqtt.limits.session_lag_age = std::chrono::hours(1);
  config_.mqtt.limits.qos0_lag_age = std::chrono::hours(1);
  EXPECT_EQ(error(), "");
  config_.mqtt.limits.qos0_lag_bytes = 1;
  EXPECT_EQ(error(),
            "mqtt.qos0_lag_bytes: a Kafka cluster does not tell how many bytes a client is "
            "behind; set mqtt.qos0_lag_age");
  config_.mqtt.limits.session_lag_bytes = 1;
  EXPECT_NE(error().find("set mqtt.session_lag_age"), std::string::npos);
  config_.stream.backend = "embedded";
  EXPECT_EQ(error(), "");
}

std::string read_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Reference, ConfigurationIsUpToDate) {
  EXPECT_EQ(read_text("docs/reference/configuration.md"), options_markdown())
      << "run: sluice config reference > docs/reference/configuration.md";
}

TEST(Reference, CommandLineIsUpToDate) {
  EXPECT_EQ(read_text("docs/reference/cli.md"), cli::reference_markdown(all_commands()))
      << "run: sluice help --markdown > docs/reference/cli.md";
}

}  // namespace
}  // namespace sluice::server
