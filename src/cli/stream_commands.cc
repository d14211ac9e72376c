#include <fmt/format.h>

#include "base/units.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/kafka_client.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

Result<void> list(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(KafkaClient client, open_kafka(arguments));
  SLUICE_TRY_ASSIGN(const auto streams, client.streams());
  std::vector<std::vector<std::string>> rows{{"STREAM", "PARTITIONS"}};
  for (const StreamSummary& stream : streams) {
    if (output == Output::json)
      print_line(JsonObject().add("name", stream.name).add("partitions", stream.partitions).str());
    rows.push_back({stream.name, std::to_string(stream.partitions)});
  }
  if (output == Output::table) fmt::print("{}", format_table(rows));
  return {};
}

// Kafka's settings of the topic, from --retention and --set. A stream made by hand is for MQTT too:
// filters such as `#` cover it unless --set sluice.wildcard=false says otherwise (the last one of a
// name counts).
Result<Assignments> settings_from(const Arguments& arguments) {
  Assignments settings{{"sluice.wildcard", "true"}};
  if (const auto retention = arguments.last("retention")) {
    auto duration = parse_duration(*retention);
    if (!duration) return std::unexpected(duration.error().context("--retention"));
    settings.emplace_back("retention.ms", std::to_string(duration->count()));
  }
  SLUICE_TRY_ASSIGN(const Assignments given, arguments.assignments("set"));
  for (const auto& [name, value] : given) {
    std::erase_if(settings, [&](const auto& setting) { return setting.first == name; });
    settings.emplace_back(name, value);
  }
  return settings;
}

Result<void> create(const Arguments& arguments) {
  constexpr std::int64_t hub_default = -1;
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const auto partitions,
                    arguments.integer_or("partitions", hub_default, 1, 100'000));
  SLUICE_TRY_ASSIGN(const Assignments settings, settings_from(arguments));
  SLUICE_TRY_ASSIGN(KafkaClient client, open_kafka(arguments));
  const std::string& name = arguments.positional[0];
  SLUICE_TRY(client.create(name, static_cast<std::int32_t>(partitions), settings));
  print_line(output == Output::json ? JsonObject().add("created", name).str()
                                    : fmt::format("created stream '{}'", name));
  return {};
}

Result<void> remove(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(KafkaClient client, open_kafka(arguments));
  SLUICE_TRY_ASSIGN(const StreamSummary stream, client.stream(arguments.positional[0]));
  SLUICE_TRY(client.remove(stream.name));
  print_line(output == Output::json ? JsonObject().add("deleted", stream.name).str()
                                    : fmt::format("deleted stream '{}'", stream.name));
  return {};
}

std::string show_json(const StreamSummary& stream, const std::vector<Watermarks>& marks,
                      const std::vector<StreamSetting>& settings) {
  std::vector<std::string> partitions;
  partitions.reserve(marks.size());
  for (std::size_t i = 0; i < marks.size(); ++i)
    partitions.push_back(JsonObject()
                             .add("partition", i)
                             .add("start", marks[i].start)
                             .add("end", marks[i].end)
                             .str());
  JsonObject values;
  for (const StreamSetting& setting : settings) values.add(setting.name, setting.value);
  return JsonObject()
      .add("name", stream.name)
      .add_raw("partitions", json_array(partitions))
      .add_raw("settings", values.str())
      .str();
}

std::string show_table(const std::vector<Watermarks>& marks,
                       const std::vector<StreamSetting>& settings) {
  std::vector<std::vector<std::string>> partitions{{"PARTITION", "START", "END"}};
  for (std::size_t i = 0; i < marks.size(); ++i)
    partitions.push_back(
        {std::to_string(i), std::to_string(marks[i].start), std::to_string(marks[i].end)});
  std::vector<std::vector<std::string>> values{{"SETTING", "VALUE"}};
  for (const StreamSetting& setting : settings)
    values.push_back({setting.name, setting.value + (setting.is_default ? " (default)" : "")});
  return format_table(partitions) + '\n' + format_table(values);
}

Result<void> show(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(KafkaClient client, open_kafka(arguments));
  SLUICE_TRY_ASSIGN(const StreamSummary stream, client.stream(arguments.positional[0]));
  std::vector<Watermarks> marks;
  for (std::int32_t partition = 0; partition < stream.partitions; ++partition) {
    SLUICE_TRY_ASSIGN(const Watermarks mark, client.watermarks(stream.name, partition));
    marks.push_back(mark);
  }
  SLUICE_TRY_ASSIGN(const auto settings, client.settings(stream.name));
  if (output == Output::json)
    print_line(show_json(stream, marks, settings));
  else
    fmt::print("{}", show_table(marks, settings));
  return {};
}

}  // namespace

std::vector<Command> stream_commands() {
  const Flag kafka_flag = address_flag("kafka");
  const std::vector<Flag> common = with_login({kafka_flag, data_flag, output_flag});
  const std::vector<Flag> creation = with_login(
      {{"partitions", 'p', "N", "How many partitions; the hub's `log.partitions` unless given"},
       {"retention", 0, "TIME",
        "How long records are kept, such as 7d; the hub's `log.retention` unless given"},
       {"set", 0, "NAME=VALUE",
        "A setting by Kafka's name, such as retention.bytes=1000000; may be repeated"},
       kafka_flag,
       data_flag,
       output_flag});
  return {
      {"stream list", "", 0, 0, "List the streams", "", common, list},
      {"stream create", "NAME", 1, 1, "Create a stream",
       "From then on MQTT messages to NAME/... go to this stream, with the rest of the topic as "
       "key, and Kafka clients "
       "see it as topic NAME. MQTT filters that begin with a wildcard cover it unless "
       "sluice.wildcard=false is set.",
       creation, create},
      {"stream show", "NAME", 1, 1, "Show a stream's partitions, offsets and settings", "", common,
       show},
      {"stream delete", "NAME", 1, 1, "Delete a stream with all its records", "", common, remove},
  };
}

}  // namespace sluice::cli
