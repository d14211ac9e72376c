#include "server/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "base/logger.h"
#include "cli/commands.h"
#include "cli/listeners.h"
#include "cli/version.h"
#include "server/instance.h"
#include "server/options.h"
#include "server/process_metrics.h"
#include "server/settings.h"
#include "server/tls_files.h"

namespace sluice::server {
namespace {

using cli::Arguments;
using cli::Command;
using cli::Flag;

Result<Settings> settings_of(const Arguments& arguments) {
  Sources sources;
  if (const auto file = arguments.last("config")) sources.file = std::string(*file);
  sources.environment = sluice_environment();
  if (const auto data = arguments.last("data"))
    sources.assignments.push_back(fmt::format("server.data_dir={}", *data));
  const auto assignments = arguments.all("set");
  sources.assignments.insert(sources.assignments.end(), assignments.begin(), assignments.end());
  return load_settings(sources);
}

// For somebody who has started a hub by hand and wonders what to do with it.
void greet(const Config& config, const cli::Listeners& listeners) {
  std::string out = fmt::format("\nsluice {} is running; data in {}; Ctrl-C stops it.\n", version,
                                config.server.data_dir);
  for (const auto& [name, address] : listeners) out += fmt::format("  {:<6} {}\n", name, address);

  const auto mqtt = listeners.find("mqtt");
  const auto kafka = listeners.find("kafka");
  if (mqtt != listeners.end() && kafka != listeners.end()) {
    const auto at = cli::parse_host_port(mqtt->second);
    const std::string where = at ? fmt::format("-h {} -p {}", at->host, at->port) : "";
    out += fmt::format(
        "\nTry in other terminals, from MQTT to Kafka:\n"
        "  mosquitto_pub {0} -q 1 -t sensors/dev1/temp -m 21.5\n"
        "  kcat -b {1} -C -t mqtt -o beginning -e -f '%k %s\\n'\n"
        "and from Kafka to MQTT:\n"
        "  mosquitto_sub {0} -v -t 'sensors/#'\n"
        "  echo 'sensors/dev1/temp:22.0' | kcat -b {1} -P -t mqtt -K:\n",
        where, kafka->second);
  }
  fmt::print("{}\n", out);
  std::fflush(stdout);
}

Result<void> run_server(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Settings settings, settings_of(arguments));
  const Config& config = settings.config;
  set_up_logging(config);
  raise_descriptor_limit();
  SLUICE_TRY_ASSIGN(const auto instance, Instance::open(config));
  const bool hints = arguments.has("hints") || isatty(STDOUT_FILENO) != 0;
  return instance->run([&](const cli::Listeners& listeners) {
    if (hints) greet(config, listeners);
  });
}

Result<void> config_check(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Settings settings, settings_of(arguments));
  const Config::Tls& tls = settings.config.tls;
  if (!tls.certificate.empty()) {
    const WallMs now = static_cast<WallMs>(std::time(nullptr)) * 1000;
    SLUICE_TRY_ASSIGN(const auto loaded, load_tls(tls, now));
    for (const std::string& warning : loaded->warnings())
      fmt::print(stderr, "sluice: warning: {}\n", warning);
  }
  fmt::print("the configuration is good\n");
  return {};
}

Result<void> config_dump(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(Settings settings, settings_of(arguments));
  fmt::print("{}", dump(settings));
  return {};
}

Result<void> config_explain(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(Settings settings, settings_of(arguments));
  SLUICE_TRY_ASSIGN(const std::string text, explain(settings, arguments.positional[0]));
  fmt::print("{}", text);
  return {};
}

Result<void> config_reference(const Arguments& /*arguments*/) {
  fmt::print("{}", options_markdown());
  return {};
}

Result<void> show_help(const Arguments& arguments) {
  fmt::print("{}", arguments.has("markdown") ? cli::reference_markdown(all_commands())
                                             : cli::help(all_commands()));
  return {};
}

std::vector<Command> make_commands() {
  const std::vector<Flag> settings_flags{
      {"config", 'c', "FILE", "Configuration file (TOML)"},
      {"data", 'd', "DIR", "Data directory; the same as --set server.data_dir=DIR"},
      {"set", 's', "SECTION.KEY=VALUE",
       "A setting, stronger than file and environment; may be repeated"}};

  std::vector<Flag> server_flags = settings_flags;
  server_flags.push_back(
      {"hints", 0, "", "Say what to try once the hub listens; on a terminal it does so anyway"});

  std::vector<Command> commands{
      {"server", "", 0, 0, "Run a hub until SIGTERM or Ctrl-C",
       "Settings are listed in docs/reference/configuration.md. Once all listeners accept, their "
       "addresses are in "
       "`listeners.json` in the data directory.",
       server_flags, run_server},
      demo_command(),
      {"config check", "", 0, 0, "Check the configuration", "", settings_flags, config_check},
      {"config dump", "", 0, 0, "Print all settings as a file, with where each comes from", "",
       settings_flags, config_dump},
      {"config explain", "SECTION.KEY", 1, 1, "Explain one setting", "", settings_flags,
       config_explain},
      {"config reference",
       "",
       0,
       0,
       "Print the reference of all settings as Markdown",
       "",
       {},
       config_reference},
  };
  for (Command& command : cli::stream_commands()) commands.push_back(std::move(command));
  for (Command& command : cli::group_commands()) commands.push_back(std::move(command));
  for (Command& command : cli::user_commands()) commands.push_back(std::move(command));
  for (Command& command : cli::client_commands()) commands.push_back(std::move(command));
  for (Command& command : cli::session_commands()) commands.push_back(std::move(command));
  for (Command& command : cli::queue_commands()) commands.push_back(std::move(command));
  for (Command& command : cli::trace_commands()) commands.push_back(std::move(command));
  commands.push_back(cli::tail_command());
  commands.push_back(cli::pub_command());
  commands.push_back(cli::sub_command());
  commands.push_back(cli::top_command());
  commands.push_back({"help",
                      "",
                      0,
                      0,
                      "List the commands",
                      "",
                      {{"markdown", 0, "", "Print docs/reference/cli.md instead"}},
                      show_help});
  return commands;
}

}  // namespace

void set_up_logging(const Config& config) {
  constexpr std::array levels{"trace", "debug", "info", "warn", "error", "off"};
  for (std::size_t i = 0; i < levels.size(); ++i)
    if (config.server.log_level == levels[i]) Logger::set_level(static_cast<LogLevel>(i));
  if (config.server.log_format == "text") Logger::set_format(Logger::Format::text);
  if (config.server.log_format == "json") Logger::set_format(Logger::Format::json);
}

const std::vector<Command>& all_commands() {
  static const std::vector<Command> commands = make_commands();
  return commands;
}

}  // namespace sluice::server
