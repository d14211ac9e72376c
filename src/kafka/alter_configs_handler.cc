#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "kafka/config_source.h"
#include "kafka/topics.h"
#include "stream/settings.h"

namespace sluice::kafka {

namespace {

using Answer = AlterConfigsResponse::Resource;
using Gathered = std::shared_ptr<GatheredReply<AlterConfigsResponse>>;
using Defaults = stream::StreamConfig;

Result<std::string> value_of(const stream::StreamConfig& config, std::string_view name) {
  for (auto& setting : stream::settings_of(config, config))
    if (setting.name == name) return std::move(setting.value);
  stream::StreamConfig unused;
  return std::unexpected(stream::apply_setting(unused, name, {}).error());  // names the nearest
}

std::vector<std::string> items_of(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const auto item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    if (!item.empty()) items.emplace_back(item);
  }
  return items;
}

Result<std::string> changed_list(const stream::StreamConfig& config,
                                 const IncrementalAlterConfigsRequest::Config& change) {
  const auto settings = stream::settings_of(config, config);
  const auto found = std::ranges::find(settings, change.name, &stream::Setting::name);
  if (found == settings.end()) return value_of(config, change.name);
  if (found->type != stream::Setting::Type::list)
    return fail(Errc::invalid, "{} is no list: nothing can be appended or subtracted", change.name);
  std::vector<std::string> items = items_of(found->value);
  for (auto& item : items_of(*change.value)) {
    std::erase(items, item);
    if (change.operation == ConfigOperation::append) items.push_back(std::move(item));
  }
  return fmt::format("{}", fmt::join(items, ","));
}

Result<void> change_setting(stream::StreamConfig& config, const Defaults& defaults,
                            const IncrementalAlterConfigsRequest::Config& change) {
  using enum ConfigOperation;
  if (change.operation == remove) {
    SLUICE_TRY_ASSIGN(const std::string value, value_of(defaults, change.name));
    return stream::apply_setting(config, change.name, value);
  }
  if (!change.value) return fail(Errc::invalid, "{} has no value", change.name);
  if (change.operation == set) return stream::apply_setting(config, change.name, *change.value);
  if (change.operation != append && change.operation != subtract)
    return fail(Errc::invalid, "{}: unknown operation {}", change.name,
                static_cast<int>(change.operation));
  SLUICE_TRY_ASSIGN(const std::string value, changed_list(config, change));
  return stream::apply_setting(config, change.name, value);
}

Result<stream::StreamConfig> planned(const IncrementalAlterConfigsRequest::Resource& wanted,
                                     stream::StreamConfig config, const Defaults& defaults) {
  for (const auto& change : wanted.configs) SLUICE_TRY(change_setting(config, defaults, change));
  return config;
}

// What the request does not name goes back to its default.
Result<stream::StreamConfig> planned(const AlterConfigsRequest::Resource& wanted,
                                     const stream::StreamConfig& before, const Defaults& defaults) {
  stream::StreamConfig config = defaults;
  config.partitions = before.partitions;
  config.internal = before.internal;
  for (const auto& setting : wanted.configs) {
    SLUICE_TRY(change_setting(config, defaults, {.name = setting.name, .value = setting.value}));
  }
  return config;
}

void refuse(Answer& answer, ErrorCode code, std::string text = {}) {
  answer.error_code = code;
  if (!text.empty()) answer.error_message = std::move(text);
}

void alter(Services& services, const stream::StreamInfo& stream, const stream::StreamConfig& config,
           const Gathered& gathered) {
  gathered->begin();
  services.stream.alter(stream.name, config,
                        [gathered, index = gathered->response.responses.size() -
                                           1](const Result<stream::StreamInfo>& altered) {
                          if (!altered) {
                            const Error& error = altered.error();
                            refuse(gathered->response.responses[index],
                                   error.code == Errc::invalid ? ErrorCode::invalid_config
                                                               : to_error_code(error.code),
                                   error.text);
                          }
                          gathered->end();
                        });
}

template <class Resource>
void alter_topic(Call& call, const Resource& wanted, bool validate_only, const Gathered& gathered) {
  Answer& answer = gathered->response.responses.back();
  const auto found = find_partition(call, access::Action::alter, wanted.name, 0);
  if (found.error != ErrorCode::none) return refuse(answer, found.error);
  if (found.stream->config.internal)
    return refuse(answer, ErrorCode::topic_authorization_failed,
                  "internal topics can't be altered");
  const Options& options = call.services.options;
  const auto config =
      planned(wanted, found.stream->config, default_config_of(options, *found.stream));
  if (!config) return refuse(answer, ErrorCode::invalid_config, config.error().text);
  if (is_mqtt_stream(options, *found.stream) && !config->wildcard)
    return refuse(answer, ErrorCode::invalid_config,
                  "sluice.wildcard stays true here: MQTT filters that begin with a wildcard cover "
                  "the MQTT topics without a stream of their own");
  if (!validate_only) alter(call.services, *found.stream, *config, gathered);
}

template <class Request>
void alter_all(Call& call, const Request& request, Reply<AlterConfigsResponse> reply) {
  const auto gathered = std::make_shared<GatheredReply<AlterConfigsResponse>>(std::move(reply));
  std::set<std::pair<std::int8_t, std::string_view>> seen;
  for (const auto& wanted : request.resources) {
    Answer& answer = gathered->response.responses.emplace_back();
    answer.type = wanted.type;
    answer.name = wanted.name;
    if (!seen.insert({wanted.type, wanted.name}).second) {
      refuse(answer, ErrorCode::invalid_request, "the request names this resource twice");
    } else if (wanted.type == resource_topic) {
      alter_topic(call, wanted, request.validate_only, gathered);
    } else {
      refuse(answer, ErrorCode::invalid_request,
             "only topics can be altered: the broker's settings are in the hub's configuration");
    }
  }
  gathered->end();
}

}  // namespace

void handle(Call& call, const IncrementalAlterConfigsRequest& request,
            Reply<AlterConfigsResponse> reply) {
  alter_all(call, request, std::move(reply));
}

void handle(Call& call, const AlterConfigsRequest& request, Reply<AlterConfigsResponse> reply) {
  alter_all(call, request, std::move(reply));
}

}  // namespace sluice::kafka
