#include "kafka/topics.h"

namespace sluice::kafka {

namespace {

using Answer = DeleteRecordsResponse::Partition;
using Gathered = std::shared_ptr<GatheredReply<DeleteRecordsResponse>>;

// The place of one partition in the response.
struct Place {
  std::size_t topic;
  std::size_t partition;
  [[nodiscard]] Answer& in(const Gathered& gathered) const {
    return gathered->response.topics[topic].partitions[partition];
  }
};

void delete_before(Services& services, Partition partition, Offset before, const Gathered& gathered,
                   Place place) {
  services.stream.delete_records(partition, before, [=](const Result<Offset>& start) {
    Answer& answer = place.in(gathered);
    if (start) {
      answer.low_watermark = start->value;
    } else {
      answer.error_code = to_error_code(start.error().code);
    }
    gathered->end();
  });
}

void delete_all(Services& services, Partition partition, const Gathered& gathered, Place place) {
  services.stream.bounds(partition, [=, &services](const Result<stream::Bounds>& bounds) {
    if (bounds) return delete_before(services, partition, bounds->visible_end, gathered, place);
    place.in(gathered).error_code = to_error_code(bounds.error().code);
    gathered->end();
  });
}

void handle_partition(Call& call, std::string_view topic,
                      const DeleteRecordsRequest::Partition& wanted, const Gathered& gathered,
                      Place place) {
  Answer& answer = place.in(gathered);
  const auto found = find_partition(call, access::Action::remove, topic, wanted.index);
  answer.error_code = found.error;
  if (found.error != ErrorCode::none) return;
  if (found.stream->config.internal) {
    answer.error_code = ErrorCode::topic_authorization_failed;
  } else if (wanted.offset < DeleteRecordsRequest::high_watermark) {
    answer.error_code = ErrorCode::offset_out_of_range;
  } else {
    gathered->begin();
    if (wanted.offset == DeleteRecordsRequest::high_watermark) {
      delete_all(call.services, found.partition, gathered, place);
    } else {
      delete_before(call.services, found.partition, Offset{wanted.offset}, gathered, place);
    }
  }
}

}  // namespace

void handle(Call& call, const DeleteRecordsRequest& request, Reply<DeleteRecordsResponse> reply) {
  const auto gathered = std::make_shared<GatheredReply<DeleteRecordsResponse>>(std::move(reply));
  auto& topics = gathered->response.topics;
  for (const auto& topic : request.topics) {
    auto& answers = topics.emplace_back(std::string(topic.name)).partitions;
    for (const auto& wanted : topic.partitions) {
      answers.push_back({.index = wanted.index});
      handle_partition(call, topic.name, wanted, gathered, {topics.size() - 1, answers.size() - 1});
    }
  }
  gathered->end();
}

}  // namespace sluice::kafka
