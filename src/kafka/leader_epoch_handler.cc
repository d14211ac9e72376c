#include "kafka/topics.h"

namespace sluice::kafka {

namespace {

using Answer = OffsetForLeaderEpochResponse::Partition;
using Gathered = std::shared_ptr<GatheredReply<OffsetForLeaderEpochResponse>>;

void answer_end(Services& services, Partition partition, const Gathered& gathered,
                std::size_t topic, std::size_t index) {
  gathered->begin();
  services.stream.bounds(partition, [=](const Result<stream::Bounds>& bounds) {
    Answer& answer = gathered->response.topics[topic].partitions[index];
    if (bounds) {
      answer.leader_epoch = leader_epoch;
      answer.end_offset = bounds->visible_end.value;
    } else {
      answer.error_code = to_error_code(bounds.error().code);
    }
    gathered->end();
  });
}

}  // namespace

// There is one epoch, so it ends where the partition does; another one has no end: -1.
void handle(Call& call, const OffsetForLeaderEpochRequest& request,
            Reply<OffsetForLeaderEpochResponse> reply) {
  const auto gathered =
      std::make_shared<GatheredReply<OffsetForLeaderEpochResponse>>(std::move(reply));
  auto& topics = gathered->response.topics;
  for (const auto& topic : request.topics) {
    auto& answers = topics.emplace_back(std::string(topic.name)).partitions;
    for (const auto& wanted : topic.partitions) {
      const auto found = find_partition(call, access::Action::describe, topic.name, wanted.index);
      Answer& answer = answers.emplace_back(found.error, wanted.index);
      if (answer.error_code == ErrorCode::none)
        answer.error_code = check_leader_epoch(wanted.current_leader_epoch);
      if (answer.error_code == ErrorCode::none && wanted.leader_epoch == leader_epoch)
        answer_end(call.services, found.partition, gathered, topics.size() - 1, answers.size() - 1);
    }
  }
  gathered->end();
}

}  // namespace sluice::kafka
