#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>

#include "cli/fleet.h"
#include "cli/kafka_client.h"
#include "cli/listeners.h"
#include "cli/version.h"
#include "server/commands.h"
#include "server/instance.h"
#include "server/process_metrics.h"
#include "server/settings.h"

namespace sluice::server {
namespace {

constexpr std::int32_t partitions = 4;

// The directory of a demo: one that is given and stays, or one of its own that goes with it.
class DemoDirectory {
 public:
  static Result<DemoDirectory> make(const cli::Arguments& arguments) {
    if (const auto given = arguments.last("data")) return DemoDirectory(std::string(*given), false);
    std::string path = (std::filesystem::temp_directory_path() / "sluice-demo-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr)
      return fail(Errc::io, "no directory can be made in {}; give one with --data DIR",
                  std::filesystem::temp_directory_path().string());
    return DemoDirectory(std::move(path), true);
  }
  DemoDirectory(DemoDirectory&& other) noexcept
      : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, false)) {}
  DemoDirectory& operator=(DemoDirectory&&) = delete;
  ~DemoDirectory() {
    std::error_code ignored;
    if (temporary_) std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  DemoDirectory(std::string path, bool temporary) : path_(std::move(path)), temporary_(temporary) {}

  std::string path_;
  bool temporary_;
};

// As the user would type it here.
std::string program_name() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto here = std::filesystem::relative(program, error);
  return here.string().starts_with("..") || here.empty() ? program.string() : here.string();
}

Result<cli::HostPort> address_of(const cli::Listeners& listeners, std::string_view name) {
  const auto found = listeners.find(name);
  if (found == listeners.end())
    return fail(Errc::invalid, "the demo needs the {} listener; it is off", name);
  return cli::parse_host_port(found->second);
}

// A stream of its own for the devices, spread over some partitions.
Result<void> make_stream(const cli::Listeners& listeners) {
  SLUICE_TRY_ASSIGN(const cli::HostPort kafka, address_of(listeners, "kafka"));
  SLUICE_TRY_ASSIGN(cli::KafkaClient client, cli::KafkaClient::open(kafka));
  const std::array<std::pair<std::string, std::string>, 1> settings{{{"sluice.wildcard", "true"}}};
  const auto made = client.create("sensors", partitions, settings);
  return made || made.error().code == Errc::exists ? Result<void>() : made;
}

void print_commands(const cli::Listeners& listeners, const cli::FleetOptions& fleet,
                    const std::string& data) {
  const auto mqtt = cli::parse_host_port(listeners.at("mqtt"));
  const std::string at = fmt::format("-h {} -p {}", mqtt->host, mqtt->port);
  const std::string& kafka = listeners.at("kafka");
  const std::string program = program_name();
  const std::array<std::pair<std::string_view, std::string>, 6> commands{{
      {"MQTT: what the devices say", fmt::format("mosquitto_sub {} -v -t 'sensors/#'", at)},
      {"who is there: retained messages, and wills of those who go",
       fmt::format("mosquitto_sub {} -v -t 'sensors/+/status'", at)},
      {"Kafka: the same records, from the first one on",
       fmt::format("kcat -q -b {} -C -t sensors -c 9 -f '%k %s\\n'", kafka)},
      {"a consumer group, whose offsets the hub keeps",
       fmt::format("kcat -q -b {} -G dashboard -f '%k %s\\n' sensors", kafka)},
      {"how far the group is, and how far behind",
       fmt::format("{} group show dashboard --data {}", program, data)},
      {"what the hub is doing", fmt::format("{} top --data {}", program, data)},
  }};
  fmt::print(
      "\nsluice {}: {} simulated devices publish {} readings a second; data in {}.\n"
      "Paste into another terminal, in this directory:\n\n",
      version, fleet.devices, fleet.rate, data);
  for (const auto& [what, command] : commands) fmt::print("  # {}\n  {}\n\n", what, command);
  fmt::print("Ctrl-C ends the demo.\n");
  std::fflush(stdout);
}

Result<void> run_demo(const cli::Arguments& arguments) {
  cli::FleetOptions options;
  SLUICE_TRY_ASSIGN(const auto devices,
                    arguments.integer_or("devices", options.devices, 1, cli::Fleet::devices_max));
  SLUICE_TRY_ASSIGN(const auto rate, arguments.integer_or("rate", options.rate, 1, 10'000));
  options.devices = static_cast<std::uint32_t>(devices);
  options.rate = static_cast<std::uint32_t>(rate);

  SLUICE_TRY_ASSIGN(const DemoDirectory directory, DemoDirectory::make(arguments));
  Sources sources;
  sources.assignments = {"server.data_dir=" + directory.path(), "server.log_level=error"};
  const auto given = arguments.all("set");
  sources.assignments.insert(sources.assignments.end(), given.begin(), given.end());
  SLUICE_TRY_ASSIGN(const Settings settings, load_settings(sources));
  set_up_logging(settings.config);
  raise_descriptor_limit();

  SLUICE_TRY_ASSIGN(const auto instance, Instance::open(settings.config));
  std::unique_ptr<cli::Fleet> fleet;
  Result<void> begun;
  const auto begin = [&](const cli::Listeners& listeners) -> Result<void> {
    SLUICE_TRY(make_stream(listeners));
    SLUICE_TRY_ASSIGN(const cli::HostPort mqtt, address_of(listeners, "mqtt"));
    SLUICE_TRY_ASSIGN(fleet, cli::Fleet::start(mqtt, options));
    print_commands(listeners, options, directory.path());
    return {};
  };
  SLUICE_TRY(instance->run([&](const cli::Listeners& listeners) {
    begun = begin(listeners);
    if (!begun) instance->terminate();
  }));
  return begun;
}

}  // namespace

cli::Command demo_command() {
  return {"demo",
          "",
          0,
          0,
          "Run a hub with simulated devices, and say what to try",
          "The hub keeps its data in a temporary directory unless --data names one. The devices "
          "publish to the stream `sensors`.",
          {{"devices", 0, "N", "How many devices, up to 200; 10 unless given"},
           {"rate", 0, "N", "Readings per second, of all devices together; 20 unless given"},
           {"data", 'd', "DIR", "Data directory, which is kept"},
           {"set", 's', "SECTION.KEY=VALUE", "A setting of the hub; may be repeated"}},
          run_demo};
}

}  // namespace sluice::server
