#include <algorithm>
#include <set>

#include "kafka/topics.h"
#include "stream/settings.h"

namespace sluice::kafka {

namespace {

using Wanted = CreateTopicsRequest::Topic;
using Answer = CreateTopicsResponse::Topic;

struct Fault {
  ErrorCode code;
  std::string text;
};
using Planned = std::expected<stream::StreamConfig, Fault>;

std::unexpected<Fault> refuse(ErrorCode code, std::string text) {
  return std::unexpected(Fault{code, std::move(text)});
}

// Replicas named one by one are fine as long as each partition has this server for its only one.
bool valid_assignments(const std::vector<CreateTopicsRequest::Assignment>& assignments) {
  std::set<std::int32_t> seen;
  const auto count = static_cast<std::int32_t>(assignments.size());
  return std::ranges::all_of(assignments, [&](const auto& assignment) {
    const auto index = assignment.partition_index;
    return index >= 0 && index < count && seen.insert(index).second &&
           assignment.broker_ids == std::vector<std::int32_t>{node_id};
  });
}

std::expected<std::uint32_t, Fault> partitions_of(const Wanted& wanted, const Options& options) {
  if (wanted.num_partitions == -1 && wanted.assignments.empty())
    return options.default_config.partitions;
  const auto count = wanted.assignments.empty()
                         ? static_cast<std::int64_t>(wanted.num_partitions)
                         : static_cast<std::int64_t>(wanted.assignments.size());
  if (count < 1 || count > options.partitions_max) {
    return refuse(ErrorCode::invalid_partitions,
                  fmt::format("{} partitions: a topic has 1 to {}", count, options.partitions_max));
  }
  return static_cast<std::uint32_t>(count);
}

std::optional<Fault> check_replicas(const Wanted& wanted) {
  if (!wanted.assignments.empty()) {
    if (wanted.num_partitions != -1 || wanted.replication_factor != -1) {
      return Fault{ErrorCode::invalid_request,
                   "give either assignments or a number of partitions and replicas"};
    }
    if (!valid_assignments(wanted.assignments)) {
      return Fault{
          ErrorCode::invalid_replica_assignment,
          "each partition from 0 on must be assigned to broker 0 alone: there is no other"};
    }
  } else if (wanted.replication_factor != -1 && wanted.replication_factor != 1) {
    return Fault{
        ErrorCode::invalid_replication_factor,
        fmt::format("replication factor {}: there is one broker", wanted.replication_factor)};
  }
  return std::nullopt;
}

Planned apply_configs(const Wanted& wanted, stream::StreamConfig config) {
  for (const auto& setting : wanted.configs) {
    if (!setting.value)
      return refuse(ErrorCode::invalid_config, fmt::format("{} has no value", setting.name));
    if (const auto applied = stream::apply_setting(config, setting.name, *setting.value);
        !applied) {
      return refuse(ErrorCode::invalid_config, applied.error().text);
    }
  }
  return config;
}

Planned plan(const Call& call, const Wanted& wanted) {
  if (const auto valid = validate_new_topic(wanted.name); !valid) {
    return refuse(ErrorCode::invalid_topic, valid.error().text);
  }
  if (!call.may(access::Action::create, wanted.name))
    return refuse(ErrorCode::topic_authorization_failed, {});
  if (call.services.stream.catalogue().find(wanted.name) != nullptr) {
    return refuse(ErrorCode::topic_already_exists, fmt::format("topic {} exists", wanted.name));
  }
  if (auto fault = check_replicas(wanted)) return std::unexpected(std::move(*fault));
  const auto partitions = partitions_of(wanted, call.services.options);
  if (!partitions) return std::unexpected(partitions.error());
  stream::StreamConfig config = call.services.options.default_config;
  config.partitions = *partitions;
  return apply_configs(wanted, config);
}

void set_fault(Answer& answer, const Fault& fault) {
  answer.error_code = fault.code;
  answer.error_message = fault.text.empty() ? std::nullopt : std::optional(fault.text);
}

void fill(Answer& answer, const stream::StreamConfig& config,
          const stream::StreamConfig& defaults) {
  answer.num_partitions = static_cast<std::int32_t>(config.partitions);
  answer.replication_factor = 1;
  for (auto& setting : stream::settings_of(config, defaults)) {
    answer.configs->push_back(
        {.name = std::move(setting.name),
         .value = std::move(setting.value),
         .source = setting.is_default ? ConfigSource::built_in : ConfigSource::topic});
  }
}

Fault creation_fault(const Error& error) {
  const auto code =
      error.code == Errc::invalid ? ErrorCode::invalid_config : to_error_code(error.code);
  return {code, error.text};
}

using Gathered = std::shared_ptr<GatheredReply<CreateTopicsResponse>>;

void create(Services& services, std::string name, const stream::StreamConfig& config,
            const Gathered& gathered, std::size_t index) {
  gathered->begin();
  services.stream.create(std::move(name), config,
                         [gathered, index, &services](const Result<stream::StreamInfo>& created) {
                           Answer& answer = gathered->response.topics[index];
                           if (created) {
                             answer.topic_id = topic_id_of(created->id);
                             fill(answer, created->config, services.options.default_config);
                           } else {
                             set_fault(answer, creation_fault(created.error()));
                           }
                           gathered->end();
                         });
}

std::set<std::string_view> names_given_twice(const CreateTopicsRequest& request) {
  std::set<std::string_view> seen;
  std::set<std::string_view> twice;
  for (const auto& topic : request.topics) {
    if (!seen.insert(topic.name).second) twice.insert(topic.name);
  }
  return twice;
}

}  // namespace

void handle(Call& call, const CreateTopicsRequest& request, Reply<CreateTopicsResponse> reply) {
  const auto gathered = std::make_shared<GatheredReply<CreateTopicsResponse>>(std::move(reply));
  auto& answers = gathered->response.topics;
  const auto twice = names_given_twice(request);
  for (const auto& wanted : request.topics) {
    Answer& answer = answers.emplace_back(std::string(wanted.name));
    if (twice.contains(wanted.name)) {
      set_fault(answer, {ErrorCode::invalid_request, "the request names this topic twice"});
    } else if (const auto planned = plan(call, wanted); !planned) {
      set_fault(answer, planned.error());
    } else if (request.validate_only) {
      fill(answer, *planned, call.services.options.default_config);
    } else {
      create(call.services, std::string(wanted.name), *planned, gathered, answers.size() - 1);
    }
  }
  gathered->end();
}

}  // namespace sluice::kafka
