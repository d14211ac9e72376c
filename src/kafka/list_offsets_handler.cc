#include "kafka/topics.h"

namespace sluice::kafka {

namespace {

using Answer = ListOffsetsResponse::Partition;
using Gathered = std::shared_ptr<GatheredReply<ListOffsetsResponse>>;

struct Question {
  stream::Start start = stream::Start::at_time;
  WallMs when = 0;
};

std::optional<Question> question_of(std::int64_t timestamp, std::int16_t version) {
  if (timestamp >= 0) return Question{stream::Start::at_time, timestamp};
  if (timestamp == ListOffsetsRequest::latest) return Question{.start = stream::Start::latest};
  if (timestamp == ListOffsetsRequest::earliest) return Question{.start = stream::Start::earliest};
  if (timestamp == ListOffsetsRequest::max_timestamp && version >= 7) {
    return Question{.start = stream::Start::max_time};
  }
  return std::nullopt;
}

void fill(Answer& answer, stream::Start start, const Result<stream::Resolved>& resolved) {
  if (!resolved) {
    answer.error_code = to_error_code(resolved.error().code);
    return;
  }
  const bool by_time = start == stream::Start::at_time || start == stream::Start::max_time;
  if (by_time && resolved->timestamp == -1) return;  // no such record: offset -1
  answer.offset = resolved->next.value;
  answer.timestamp = resolved->timestamp;
  answer.leader_epoch = leader_epoch;
}

void resolve(Services& services, Partition partition, Question question, const Gathered& gathered,
             std::size_t topic, std::size_t index) {
  gathered->begin();
  services.stream.resolve(
      partition, question.start, question.when, [=](const Result<stream::Resolved>& resolved) {
        fill(gathered->response.topics[topic].partitions[index], question.start, resolved);
        gathered->end();
      });
}

// The partition and the question put to it; the error stands in `answer` when there is none.
std::optional<std::pair<Partition, Question>> check(const Call& call, std::string_view topic,
                                                    const ListOffsetsRequest::Partition& wanted,
                                                    std::int16_t version, Answer& answer) {
  const auto found = find_partition(call, access::Action::describe, topic, wanted.index);
  const auto question = question_of(wanted.timestamp, version);
  answer.error_code = found.error;
  if (answer.error_code == ErrorCode::none)
    answer.error_code = check_leader_epoch(wanted.current_leader_epoch);
  if (answer.error_code == ErrorCode::none && !question)
    answer.error_code = ErrorCode::invalid_request;
  if (answer.error_code != ErrorCode::none) return std::nullopt;
  return std::pair(found.partition, *question);
}

}  // namespace

void handle(Call& call, const ListOffsetsRequest& request, Reply<ListOffsetsResponse> reply) {
  const auto version = reply.version();
  const auto gathered = std::make_shared<GatheredReply<ListOffsetsResponse>>(std::move(reply));
  auto& topics = gathered->response.topics;
  for (const auto& topic : request.topics) {
    auto& answers = topics.emplace_back(std::string(topic.name)).partitions;
    for (const auto& wanted : topic.partitions) {
      Answer& answer = answers.emplace_back(wanted.index);
      if (const auto checked = check(call, topic.name, wanted, version, answer)) {
        resolve(call.services, checked->first, checked->second, gathered, topics.size() - 1,
                answers.size() - 1);
      }
    }
  }
  gathered->end();
}

}  // namespace sluice::kafka
