#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "base/start_point.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/kafka_client.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

Result<void> list(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(KafkaClient client, open_kafka(arguments));
  SLUICE_TRY_ASSIGN(const auto groups, client.groups());
  std::vector<std::vector<std::string>> rows{{"GROUP", "STATE", "MEMBERS"}};
  for (const GroupSummary& group : groups) {
    if (output == Output::json)
      print_line(JsonObject()
                     .add("name", group.name)
                     .add("state", group.state)
                     .add("members", group.members.size())
                     .str());
    rows.push_back({group.name, group.state, std::to_string(group.members.size())});
  }
  if (output == Output::table) fmt::print("{}", format_table(rows));
  return {};
}

// --- show ---

// How far a group has come in one partition. No offset: nothing is committed there.
struct Progress {
  std::string stream;
  std::int32_t partition = 0;
  std::optional<std::int64_t> offset;
  std::int64_t end = 0;
  std::string member;  // who reads it now; empty: nobody

  // What there is to read; what retention has taken is no longer there.
  [[nodiscard]] std::int64_t lag(std::int64_t start) const {
    return end - std::max(offset.value_or(start), start);
  }
};

std::string name_of(const GroupMember& member) {
  return member.instance_id.empty() ? member.id : member.instance_id;
}

// Of all partitions that the group has committed offsets of or that its members read.
Result<std::vector<std::pair<Progress, std::int64_t>>> progress_of(KafkaClient& client,
                                                                   const GroupSummary& group) {
  std::map<std::pair<std::string, std::int32_t>, Progress> all;
  SLUICE_TRY_ASSIGN(const auto offsets, client.group_offsets(group.name));
  for (const auto& [stream, partition, offset] : offsets) all[{stream, partition}].offset = offset;
  for (const GroupMember& member : group.members)
    for (const auto& key : member.partitions) all[key].member = name_of(member);
  std::vector<std::pair<Progress, std::int64_t>> out;
  for (auto& [key, progress] : all) {
    std::tie(progress.stream, progress.partition) = key;
    SLUICE_TRY_ASSIGN(const Watermarks marks,
                      client.watermarks(progress.stream, progress.partition));
    progress.end = marks.end;
    const std::int64_t lag = progress.lag(marks.start);
    out.emplace_back(std::move(progress), lag);
  }
  return out;
}

Result<void> show(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(KafkaClient client, open_kafka(arguments));
  SLUICE_TRY_ASSIGN(const GroupSummary group, client.group(arguments.positional[0]));
  SLUICE_TRY_ASSIGN(const auto progress, progress_of(client, group));
  std::vector<std::vector<std::string>> rows{
      {"STREAM", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"}};
  std::vector<std::string> partitions;
  for (const auto& [part, lag] : progress) {
    rows.push_back({part.stream, std::to_string(part.partition),
                    part.offset ? std::to_string(*part.offset) : "-", std::to_string(part.end),
                    std::to_string(lag), part.member.empty() ? "-" : part.member});
    JsonObject object;
    object.add("stream", part.stream).add("partition", part.partition);
    if (part.offset) object.add("committed", *part.offset);
    object.add("end", part.end).add("lag", lag);
    if (!part.member.empty()) object.add("member", part.member);
    partitions.push_back(object.str());
  }
  if (output == Output::json) {
    print_line(JsonObject()
                   .add("name", group.name)
                   .add("state", group.state)
                   .add("members", group.members.size())
                   .add_raw("partitions", json_array(partitions))
                   .str());
    return {};
  }
  fmt::print(
      "{}\n{}",
      format_table({{"STATE", "MEMBERS"}, {group.state, std::to_string(group.members.size())}}),
      format_table(rows));
  return {};
}

// --- reset ---

std::int64_t wall_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

Result<std::int64_t> offset_of(KafkaClient& client, const std::string& stream,
                               std::int32_t partition, const StartPoint& to) {
  using Kind = StartPoint::Kind;
  if (to.kind == Kind::time) return client.offset_at(stream, partition, to.value);
  SLUICE_TRY_ASSIGN(const Watermarks marks, client.watermarks(stream, partition));
  if (to.kind == Kind::earliest) return marks.start;
  if (to.kind == Kind::latest) return marks.end;
  if (to.value < marks.start || to.value > marks.end)
    return fail(Errc::out_of_range, "offset {} of {}, partition {}, is outside {} to {}", to.value,
                stream, partition, marks.start, marks.end);
  return to.value;
}

// The streams given, or those that the group has read.
Result<std::set<std::string>> streams_to_reset(KafkaClient& client, const Arguments& arguments,
                                               const std::string& group) {
  const auto given = arguments.all("stream");
  std::set<std::string> streams(given.begin(), given.end());
  if (!streams.empty()) return streams;
  SLUICE_TRY_ASSIGN(const auto offsets, client.group_offsets(group));
  for (const GroupOffset& offset : offsets) streams.insert(offset.stream);
  if (streams.empty())
    return fail(Errc::invalid, "group '{}' has committed nothing; say --stream NAME", group);
  return streams;
}

Result<void> refuse_if_active(KafkaClient& client, const std::string& group) {
  SLUICE_TRY_ASSIGN(const auto groups, client.groups());
  const auto found = std::ranges::find(groups, group, &GroupSummary::name);
  if (found == groups.end() || found->members.empty()) return {};
  return fail(Errc::busy, "group '{}' has {} active member{}; stop them first", group,
              found->members.size(), found->members.size() == 1 ? "" : "s");
}

Result<void> reset(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  const auto text = arguments.last("to");
  if (!text) return fail(Errc::invalid, "say where to: --to earliest, latest, a time or an offset");
  const auto to = parse_start_point(*text, wall_ms());
  if (!to) return std::unexpected(to.error().context("--to"));
  SLUICE_TRY_ASSIGN(KafkaClient client, open_kafka(arguments));
  const std::string& group = arguments.positional[0];
  SLUICE_TRY(refuse_if_active(client, group));
  SLUICE_TRY_ASSIGN(const auto streams, streams_to_reset(client, arguments, group));

  std::vector<GroupOffset> offsets;
  for (const std::string& name : streams) {
    SLUICE_TRY_ASSIGN(const StreamSummary stream, client.stream(name));
    for (std::int32_t partition = 0; partition < stream.partitions; ++partition) {
      SLUICE_TRY_ASSIGN(const auto offset, offset_of(client, name, partition, *to));
      offsets.push_back({name, partition, offset});
    }
  }
  SLUICE_TRY(client.set_group_offsets(group, offsets));
  std::vector<std::vector<std::string>> rows{{"STREAM", "PARTITION", "COMMITTED"}};
  for (const auto& [stream, partition, offset] : offsets) {
    if (output == Output::json)
      print_line(JsonObject()
                     .add("stream", stream)
                     .add("partition", partition)
                     .add("committed", offset)
                     .str());
    rows.push_back({stream, std::to_string(partition), std::to_string(offset)});
  }
  if (output == Output::table) fmt::print("{}", format_table(rows));
  return {};
}

}  // namespace

std::vector<Command> group_commands() {
  const std::vector<Flag> common = with_login({address_flag("kafka"), data_flag, output_flag});
  const std::vector<Flag> resetting = with_login(
      {{"to", 0, "START",
        "earliest, latest, an offset, a time (2024-05-01T12:00:00Z) or how long ago (10m)"},
       {"stream", 0, "NAME",
        "Only this stream, also one that the group has not read yet; may be repeated"},
       address_flag("kafka"),
       data_flag,
       output_flag});
  return {
      {"group list", "", 0, 0, "List the consumer groups", "", common, list},
      {"group show", "NAME", 1, 1, "Show how far a consumer group has read",
       "A line per partition: the committed offset, the end, how many offsets lie between them, "
       "and "
       "the member that reads it now.",
       common, show},
      {"group reset", "NAME", 1, 1, "Set a consumer group's offsets",
       "All partitions of the streams that the group has committed offsets of, or of those given "
       "by "
       "--stream. Refused while the group has members.",
       resetting, reset},
  };
}

}  // namespace sluice::cli
