#include <algorithm>
#include <set>
#include <utility>

#include "kafka/topics.h"

namespace sluice::kafka {

namespace {

using Wanted = CreatePartitionsRequest::Topic;
using Answer = CreatePartitionsResponse::Topic;
using Gathered = std::shared_ptr<GatheredReply<CreatePartitionsResponse>>;

void refuse(Answer& answer, ErrorCode code, std::string text = {}) {
  answer.error_code = code;
  if (!text.empty()) answer.error_message = std::move(text);
}

// Fills `answer` when the wish can't be granted.
void check(const Wanted& wanted, std::uint32_t before, const Options& options, Answer& answer) {
  const std::int64_t added = wanted.count - std::int64_t{before};
  if (added <= 0)
    return refuse(answer, ErrorCode::invalid_partitions,
                  fmt::format("the topic has {} partitions; it can only get more", before));
  if (wanted.count > std::int64_t{options.partitions_max})
    return refuse(
        answer, ErrorCode::invalid_partitions,
        fmt::format("{} partitions: a topic has at most {}", wanted.count, options.partitions_max));
  if (!wanted.assignments) return;
  const bool all_here = std::ranges::all_of(*wanted.assignments, [](const auto& assignment) {
    return assignment.broker_ids == std::vector<std::int32_t>{node_id};
  });
  if (std::cmp_not_equal(wanted.assignments->size(), added) || !all_here)
    refuse(answer, ErrorCode::invalid_replica_assignment,
           "each new partition must be assigned to broker 0 alone: there is no other");
}

void grow(Services& services, const stream::StreamInfo& stream, std::int32_t count,
          const Gathered& gathered) {
  stream::StreamConfig config = stream.config;
  config.partitions = static_cast<std::uint32_t>(count);
  gathered->begin();
  services.stream.alter(stream.name, config,
                        [gathered, index = gathered->response.results.size() -
                                           1](const Result<stream::StreamInfo>& altered) {
                          if (!altered) {
                            const Error& error = altered.error();
                            refuse(gathered->response.results[index],
                                   error.code == Errc::invalid ? ErrorCode::invalid_partitions
                                                               : to_error_code(error.code),
                                   error.text);
                          }
                          gathered->end();
                        });
}

void handle_topic(Call& call, const Wanted& wanted, bool validate_only, const Gathered& gathered) {
  Answer& answer = gathered->response.results.back();
  const auto found = find_partition(call, access::Action::alter, wanted.name, 0);
  if (found.error != ErrorCode::none) return refuse(answer, found.error);
  if (found.stream->config.internal)
    return refuse(answer, ErrorCode::topic_authorization_failed,
                  "internal topics can't be altered");
  if (is_mqtt_stream(call.services.options, *found.stream))
    return refuse(answer, ErrorCode::invalid_partitions,
                  "MQTT topics without a stream of their own have one order, so their stream keeps "
                  "its one partition");
  check(wanted, found.stream->config.partitions, call.services.options, answer);
  if (answer.error_code != ErrorCode::none || validate_only) return;
  grow(call.services, *found.stream, wanted.count, gathered);
}

}  // namespace

void handle(Call& call, const CreatePartitionsRequest& request,
            Reply<CreatePartitionsResponse> reply) {
  const auto gathered = std::make_shared<GatheredReply<CreatePartitionsResponse>>(std::move(reply));
  std::set<std::string_view> seen;
  for (const auto& wanted : request.topics) {
    Answer& answer = gathered->response.results.emplace_back(std::string(wanted.name));
    if (seen.insert(wanted.name).second) {
      handle_topic(call, wanted, request.validate_only, gathered);
    } else {
      refuse(answer, ErrorCode::invalid_request, "the request names this topic twice");
    }
  }
  gathered->end();
}

}  // namespace sluice::kafka
