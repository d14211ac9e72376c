#include "kafka/topics.h"

namespace sluice::kafka {

namespace {

using Answer = DeleteTopicsResponse::Topic;
using Gathered = std::shared_ptr<GatheredReply<DeleteTopicsResponse>>;

void refuse(const Gathered& gathered, Answer answer, ErrorCode code,
            std::optional<std::string> text = {}) {
  answer.error_code = code;
  answer.error_message = std::move(text);
  gathered->response.topics.push_back(std::move(answer));
}

void remove(Services& services, const stream::StreamInfo& stream, const Gathered& gathered) {
  auto& answers = gathered->response.topics;
  answers.push_back({.name = stream.name, .topic_id = topic_id_of(stream.id)});
  gathered->begin();
  services.stream.remove(stream.name,
                         [gathered, index = answers.size() - 1](const Result<void>& removed) {
                           if (!removed) {
                             Answer& answer = gathered->response.topics[index];
                             answer.error_code = to_error_code(removed.error().code);
                             answer.error_message = removed.error().text;
                           }
                           gathered->end();
                         });
}

void remove_if_allowed(Call& call, const stream::StreamInfo& stream, const Gathered& gathered) {
  if (stream.config.internal) {
    return refuse(gathered, {.name = stream.name}, ErrorCode::topic_authorization_failed,
                  "internal topics can't be deleted");
  }
  if (!call.may(access::Action::remove, stream.name)) {
    return refuse(gathered, {.name = stream.name}, ErrorCode::topic_authorization_failed);
  }
  remove(call.services, stream, gathered);
}

void remove_by_name(Call& call, std::string_view name, const Gathered& gathered) {
  if (const auto* stream = call.services.stream.catalogue().find(name)) {
    return remove_if_allowed(call, *stream, gathered);
  }
  // Who may not see a topic must not learn that there is none.
  refuse(gathered, {.name = std::string(name)},
         call.may(access::Action::describe, name) ? ErrorCode::unknown_topic_or_partition
                                                  : ErrorCode::topic_authorization_failed);
}

void remove_by_id(Call& call, const Uuid& topic_id, const Gathered& gathered) {
  const auto id = stream_id_of(topic_id);
  const auto* stream = id ? call.services.stream.catalogue().find(*id) : nullptr;
  // Who may not see a topic must not learn from its id that there is one (KIP-516).
  if (stream == nullptr || !call.may(access::Action::describe, stream->name)) {
    return refuse(gathered, {.topic_id = topic_id}, ErrorCode::unknown_topic_id);
  }
  remove_if_allowed(call, *stream, gathered);
}

}  // namespace

void handle(Call& call, const DeleteTopicsRequest& request, Reply<DeleteTopicsResponse> reply) {
  const auto gathered = std::make_shared<GatheredReply<DeleteTopicsResponse>>(std::move(reply));
  for (const auto name : request.topic_names) remove_by_name(call, name, gathered);
  for (const auto& topic : request.topics) {
    if (topic.name) {
      remove_by_name(call, *topic.name, gathered);
    } else {
      remove_by_id(call, topic.topic_id, gathered);
    }
  }
  gathered->end();
}

}  // namespace sluice::kafka
