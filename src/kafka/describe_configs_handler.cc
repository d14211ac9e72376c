#include <algorithm>

#include "kafka/topics.h"
#include "stream/settings.h"

namespace sluice::kafka {

namespace {

using Answer = DescribeConfigsResponse::Result;
using Config = DescribeConfigsResponse::Config;
using Wanted = DescribeConfigsRequest::Resource;
using Type = DescribeConfigsResponse::Type;

Type type_of(stream::Setting::Type type) {
  switch (type) {
    case stream::Setting::Type::boolean:
      return Type::boolean;
    case stream::Setting::Type::string:
      return Type::string;
    case stream::Setting::Type::int32:
      return Type::int32;
    case stream::Setting::Type::int64:
      return Type::int64;
    case stream::Setting::Type::list:
      return Type::list;
  }
  return Type::unknown;
}

bool wanted_key(const Wanted& wanted, std::string_view name) {
  return !wanted.keys || std::ranges::find(*wanted.keys, name) != wanted.keys->end();
}

void add_config(const DescribeConfigsRequest& request, Config config, std::string text,
                Answer& answer) {
  if (request.include_synonyms)
    config.synonyms.push_back({config.name, config.value, config.source});
  if (request.include_documentation) config.documentation = std::move(text);
  answer.configs.push_back(std::move(config));
}

void describe_topic(const Call& call, const DescribeConfigsRequest& request, const Wanted& wanted,
                    Answer& answer) {
  const auto found = find_partition(call, access::Action::describe, wanted.name, 0);
  if (found.error != ErrorCode::none) {
    answer.error_code = found.error;
    return;
  }
  for (auto& setting : stream::settings_of(
           found.stream->config, default_config_of(call.services.options, *found.stream))) {
    if (!wanted_key(wanted, setting.name)) continue;
    const auto source = setting.is_default ? ConfigSource::built_in : ConfigSource::topic;
    add_config(request,
               {.name = std::move(setting.name),
                .value = std::move(setting.value),
                .source = source,
                .type = type_of(setting.type)},
               std::move(setting.text), answer);
  }
}

struct BrokerSetting {
  std::string_view name;
  std::string value;
  Type type;
  std::string_view text;
};

std::vector<BrokerSetting> broker_settings(const Options& options) {
  const auto& topic = options.default_config;
  return {
      {"broker.id", std::to_string(node_id), Type::int32, "The only broker"},
      {"auto.create.topics.enable", options.auto_create ? "true" : "false", Type::boolean,
       "Whether metadata requests create missing topics"},
      {"num.partitions", std::to_string(topic.partitions), Type::int32,
       "Partitions of a new topic"},
      {"default.replication.factor", "1", Type::int32, "There is one broker"},
      {"log.retention.ms", std::to_string(topic.retention_ms), Type::int64,
       "Retention of a new topic"},
      {"log.retention.bytes", std::to_string(topic.retention_bytes), Type::int64,
       "Retention of a new topic"},
      {"message.max.bytes", std::to_string(topic.max_message_bytes), Type::int32,
       "Largest record batch"},
      {"socket.request.max.bytes", std::to_string(options.request_max), Type::int32,
       "Largest request"},
      {"fetch.max.bytes", std::to_string(options.fetch_max), Type::int32, "Largest fetch response"},
  };
}

void describe_broker(const Call& call, const DescribeConfigsRequest& request, const Wanted& wanted,
                     Answer& answer) {
  if (!call.may(access::Action::administer, {})) {
    answer.error_code = ErrorCode::cluster_authorization_failed;
    return;
  }
  if (!wanted.name.empty() && wanted.name != std::to_string(node_id)) {
    answer.error_code = ErrorCode::invalid_request;
    answer.error_message = fmt::format("broker {}: there is only broker {}", wanted.name, node_id);
    return;
  }
  for (auto& setting : broker_settings(call.services.options)) {
    if (!wanted_key(wanted, setting.name)) continue;
    add_config(request,
               {.name = std::string(setting.name),
                .value = std::move(setting.value),
                .read_only = true,
                .source = ConfigSource::static_broker,
                .type = setting.type},
               std::string(setting.text), answer);
  }
}

}  // namespace

void handle(Call& call, const DescribeConfigsRequest& request,
            Reply<DescribeConfigsResponse> reply) {
  DescribeConfigsResponse response;
  for (const auto& wanted : request.resources) {
    Answer& answer = response.results.emplace_back();
    answer.type = wanted.type;
    answer.name = wanted.name;
    if (wanted.type == resource_topic) {
      describe_topic(call, request, wanted, answer);
    } else if (wanted.type == resource_broker) {
      describe_broker(call, request, wanted, answer);
    } else {
      answer.error_code = ErrorCode::invalid_request;
      answer.error_message = fmt::format("resources of type {} have no settings here", wanted.type);
    }
  }
  reply.send(std::move(response));
}

}  // namespace sluice::kafka
