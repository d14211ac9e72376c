#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/nearest.h"
#include "cli/kafka_client.h"

namespace sluice::cli {
namespace {

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

GroupMember to_member(const rd_kafka_MemberDescription_t* described) {
  GroupMember member;
  member.id = text_or_empty(rd_kafka_MemberDescription_consumer_id(described));
  member.instance_id = text_or_empty(rd_kafka_MemberDescription_group_instance_id(described));
  member.client_id = text_or_empty(rd_kafka_MemberDescription_client_id(described));
  member.host = text_or_empty(rd_kafka_MemberDescription_host(described));
  const auto* assignment = rd_kafka_MemberDescription_assignment(described);
  const auto* partitions = rd_kafka_MemberAssignment_partitions(assignment);
  if (partitions == nullptr) return member;
  for (const auto& part : std::span(partitions->elems, static_cast<std::size_t>(partitions->cnt)))
    member.partitions.emplace_back(part.topic, part.partition);
  return member;
}

GroupSummary to_summary(const rd_kafka_ConsumerGroupDescription_t* described) {
  GroupSummary group;
  group.name = rd_kafka_ConsumerGroupDescription_group_id(described);
  group.state =
      rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(described));
  group.assignor = text_or_empty(rd_kafka_ConsumerGroupDescription_partition_assignor(described));
  const std::size_t members = rd_kafka_ConsumerGroupDescription_member_count(described);
  for (std::size_t i = 0; i < members; ++i)
    group.members.push_back(to_member(rd_kafka_ConsumerGroupDescription_member(described, i)));
  return group;
}

// The single group of an answer about offsets.
Result<const rd_kafka_topic_partition_list_t*> partitions_of(std::string_view what,
                                                             const rd_kafka_group_result_t** groups,
                                                             std::size_t count) {
  if (count != 1) return fail(Errc::io, "{}: {} answers instead of one", what, count);
  if (const auto* error = rd_kafka_group_result_error(groups[0]))
    return kafka_error(what, rd_kafka_error_code(error), rd_kafka_error_string(error));
  const auto* list = rd_kafka_group_result_partitions(groups[0]);
  for (const auto& part : std::span(list->elems, static_cast<std::size_t>(list->cnt))) {
    if (part.err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return kafka_error(fmt::format("{}: {}, partition {}", what, part.topic, part.partition),
                         part.err);
  }
  return list;
}

}  // namespace

Result<std::vector<std::string>> KafkaClient::group_names() {
  constexpr std::string_view what = "list of groups";
  rd_kafka_ListConsumerGroups(client_.get(), nullptr, queue_.get());
  SLUICE_TRY_ASSIGN(const Event event, wait_for(what));
  const auto* result = rd_kafka_event_ListConsumerGroups_result(event.get());
  std::size_t count = 0;
  const auto** errors = rd_kafka_ListConsumerGroups_result_errors(result, &count);
  if (count > 0)
    return kafka_error(what, rd_kafka_error_code(errors[0]), rd_kafka_error_string(errors[0]));
  const auto** listings = rd_kafka_ListConsumerGroups_result_valid(result, &count);
  std::vector<std::string> names;
  for (const auto* listing : std::span(listings, count))
    names.emplace_back(rd_kafka_ConsumerGroupListing_group_id(listing));
  std::ranges::sort(names);
  return names;
}

Result<std::vector<GroupSummary>> KafkaClient::describe_groups(
    const std::vector<std::string>& names) {
  if (names.empty()) return std::vector<GroupSummary>{};
  std::vector<const char*> texts;
  for (const std::string& name : names) texts.push_back(name.c_str());
  rd_kafka_DescribeConsumerGroups(client_.get(), texts.data(), texts.size(), nullptr, queue_.get());
  SLUICE_TRY_ASSIGN(const Event event, wait_for("groups"));
  std::size_t count = 0;
  const auto** described = rd_kafka_DescribeConsumerGroups_result_groups(
      rd_kafka_event_DescribeConsumerGroups_result(event.get()), &count);
  std::vector<GroupSummary> groups;
  for (const auto* group : std::span(described, count)) {
    if (const auto* error = rd_kafka_ConsumerGroupDescription_error(group))
      return kafka_error(
          fmt::format("group '{}'", rd_kafka_ConsumerGroupDescription_group_id(group)),
          rd_kafka_error_code(error), rd_kafka_error_string(error));
    groups.push_back(to_summary(group));
  }
  std::ranges::sort(groups, {}, &GroupSummary::name);
  return groups;
}

Result<std::vector<GroupSummary>> KafkaClient::groups() {
  SLUICE_TRY_ASSIGN(const auto names, group_names());
  return describe_groups(names);
}

Result<GroupSummary> KafkaClient::group(const std::string& name) {
  SLUICE_TRY_ASSIGN(const auto names, group_names());
  if (std::ranges::find(names, name) != names.end()) {
    SLUICE_TRY_ASSIGN(auto described, describe_groups({name}));
    if (described.size() == 1) return std::move(described[0]);
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  const std::string_view guess = nearest(name, known);
  return fail(Errc::not_found, "there is no group '{}'{}", name,
              guess.empty() ? "" : fmt::format("; did you mean '{}'?", guess));
}

Result<std::vector<GroupOffset>> KafkaClient::group_offsets(const std::string& group) {
  const std::string what = fmt::format("offsets of group '{}'", group);
  const Handle<rd_kafka_ListConsumerGroupOffsets_t, rd_kafka_ListConsumerGroupOffsets_destroy>
      wanted(rd_kafka_ListConsumerGroupOffsets_new(group.c_str(), nullptr));
  std::array all{wanted.get()};
  rd_kafka_ListConsumerGroupOffsets(client_.get(), all.data(), all.size(), nullptr, queue_.get());
  SLUICE_TRY_ASSIGN(const Event event, wait_for(what));
  std::size_t count = 0;
  const auto** results = rd_kafka_ListConsumerGroupOffsets_result_groups(
      rd_kafka_event_ListConsumerGroupOffsets_result(event.get()), &count);
  SLUICE_TRY_ASSIGN(const auto* list, partitions_of(what, results, count));
  std::vector<GroupOffset> offsets;
  for (const auto& part : std::span(list->elems, static_cast<std::size_t>(list->cnt)))
    if (part.offset >= 0) offsets.push_back({part.topic, part.partition, part.offset});
  std::ranges::sort(offsets, {}, [](const auto& o) { return std::pair(o.stream, o.partition); });
  return offsets;
}

Result<void> KafkaClient::set_group_offsets(const std::string& group,
                                            std::span<const GroupOffset> offsets) {
  const std::string what = fmt::format("offsets of group '{}'", group);
  const Handle<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy> list(
      rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
  for (const auto& [stream, partition, offset] : offsets)
    rd_kafka_topic_partition_list_add(list.get(), stream.c_str(), partition)->offset = offset;
  const Handle<rd_kafka_AlterConsumerGroupOffsets_t, rd_kafka_AlterConsumerGroupOffsets_destroy>
      wanted(rd_kafka_AlterConsumerGroupOffsets_new(group.c_str(), list.get()));
  std::array all{wanted.get()};
  rd_kafka_AlterConsumerGroupOffsets(client_.get(), all.data(), all.size(), nullptr, queue_.get());
  SLUICE_TRY_ASSIGN(const Event event, wait_for(what));
  std::size_t count = 0;
  const auto** results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
      rd_kafka_event_AlterConsumerGroupOffsets_result(event.get()), &count);
  SLUICE_TRY(partitions_of(what, results, count));
  return {};
}

}  // namespace sluice::cli
