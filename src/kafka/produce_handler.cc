#include "kafka/topics.h"
#include "log/record_batch.h"

namespace sluice::kafka {

namespace {

using Answer = ProduceResponse::Partition;

constexpr std::int16_t zstd_since = 7;  // an older client could not read its own records back

struct Fault {
  ErrorCode code;
  std::string text;
};

ErrorCode batch_error(Errc code) {
  return code == Errc::corrupt ? ErrorCode::corrupt_message : ErrorCode::invalid_record;
}

// What a client must not send although it is a proper batch.
std::optional<Fault> check_attributes(const log::BatchHeader& batch, std::int16_t version) {
  constexpr auto zstd = static_cast<std::uint8_t>(log::Compression::zstd);
  if (batch.control())
    return Fault{ErrorCode::invalid_record, "clients may not write control batches"};
  if (batch.transactional())
    return Fault{ErrorCode::invalid_txn_state, "transactions are not offered"};
  if (batch.compression_bits() > zstd) {
    return Fault{ErrorCode::unsupported_compression_type,
                 fmt::format("no compression has the number {}", batch.compression_bits())};
  }
  if (batch.compression_bits() == zstd && version < zstd_since) {
    return Fault{ErrorCode::unsupported_compression_type,
                 "zstd needs version 7 of produce requests"};
  }
  return std::nullopt;
}

std::optional<Fault> check_batch(Bytes records, const stream::StreamConfig& config,
                                 std::int16_t version) {
  if (static_cast<std::int64_t>(records.size()) > config.max_message_bytes) {
    return Fault{ErrorCode::message_too_large,
                 fmt::format("a batch of {} bytes is over the topic's limit of {}", records.size(),
                             config.max_message_bytes)};
  }
  const auto batch = log::validate_batch(records);
  if (!batch) return Fault{batch_error(batch.error().code), batch.error().text};
  return check_attributes(*batch, version);
}

std::shared_ptr<log::Block> copy_batch(Bytes records) {
  Buffer bytes;
  append(bytes, records);
  return std::make_shared<log::Block>(std::move(bytes));
}

// The batches of one produce request on their way into the log. They are given to the stream one by
// one in the order of the request, and the connection's next request waits until the last was
// taken: a partition that has no room holds all that comes behind it on this connection, and
// nothing overtakes.
class ProduceJob : public std::enable_shared_from_this<ProduceJob> {
 public:
  ProduceJob(Services& services, std::int16_t acks, Reply<ProduceResponse> reply)
      : services_(services), reply_(std::move(reply)), acks_(acks) {}

  void take(const Call& call, const ProduceRequest& request) {
    for (const auto& topic : request.topics) {
      auto& answers = response_.topics.emplace_back(std::string(topic.name)).partitions;
      for (const auto& part : topic.partitions) {
        answers.push_back({.index = part.index});
        take(call, request, topic.name, part);
      }
    }
  }

  void start() { append_rest(); }

 private:
  struct Batch {
    Partition partition;
    std::shared_ptr<log::Block> block;
    std::size_t topic = 0;  // place of the answer
    std::size_t index = 0;
  };

  void take(const Call& call, const ProduceRequest& request, std::string_view topic,
            const ProduceRequest::Partition& part) {
    const auto found = find_partition(call, access::Action::write, topic, part.index);
    if (auto fault = check(request, found, part))
      return set_fault(last_answer(), std::move(*fault));
    batches_.push_back({found.partition, copy_batch(*part.records), response_.topics.size() - 1,
                        response_.topics.back().partitions.size() - 1});
  }

  [[nodiscard]] std::optional<Fault> check(const ProduceRequest& request,
                                           const FoundPartition& found,
                                           const ProduceRequest::Partition& part) const {
    if (acks_ < -1 || acks_ > 1) {
      return Fault{ErrorCode::invalid_required_acks,
                   fmt::format("acks must be -1, 0 or 1, not {}", acks_)};
    }
    if (request.transactional_id)
      return Fault{ErrorCode::invalid_txn_state, "transactions are not offered"};
    if (found.error != ErrorCode::none) return Fault{found.error, {}};
    if (found.stream->config.internal) {
      return Fault{ErrorCode::topic_authorization_failed,
                   "internal topics are written by sluice alone"};
    }
    if (!part.records) return Fault{ErrorCode::invalid_record, "no records"};
    return check_batch(*part.records, found.stream->config, reply_.version());
  }

  void append_rest() {
    while (next_ < batches_.size()) {
      if (!append_next()) return wait_for_room();
      ++next_;
    }
    reply_.release();
    end();
  }

  // False: no room, nothing was taken.
  bool append_next() {
    no_room_ = false;
    appending_ = true;
    ++open_;
    const Batch& batch = batches_[next_];
    services_.stream.append(
        batch.partition, batch.block,
        [self = shared_from_this(), index = next_](const Result<stream::Appended>& appended) {
          self->on_appended(index, appended);
        });
    appending_ = false;
    return !no_room_;
  }

  void on_appended(std::size_t index, const Result<stream::Appended>& appended) {
    if (!appended && appended.error().code == Errc::busy && appending_ && index == next_) {
      no_room_ = true;
    } else {
      fill_answer(batches_[index], appended);
      batches_[index].block.reset();
    }
    end();
  }

  void fill_answer(const Batch& batch, const Result<stream::Appended>& appended) {
    Answer& answer = response_.topics[batch.topic].partitions[batch.index];
    if (appended) {
      answer.base_offset = appended->first.value;
    } else {
      const Errc code = appended.error().code;
      const auto error = code == Errc::invalid ? ErrorCode::invalid_record : to_error_code(code);
      set_fault(answer, {error, appended.error().text});
    }
  }

  // Goes on in a turn of its own: the callback may run within on_room().
  void wait_for_room() {
    services_.stream.on_room(batches_[next_].partition, [self = shared_from_this()] {
      self->services_.loop.post([self] { self->append_rest(); });
    });
  }

  void set_fault(Answer& answer, Fault fault) {
    answer.error_code = fault.code;
    if (!fault.text.empty()) answer.error_message = std::move(fault.text);
    failed_ = true;
  }

  Answer& last_answer() { return response_.topics.back().partitions.back(); }

  void end() {
    if (--open_ > 0) return;
    if (acks_ != 0) return reply_.send(std::move(response_));
    if (!failed_) return reply_.send_nothing();
    reply_.refuse(Refusal::failed_without_acks, "a produce request with acks=0 failed");
  }

  Services& services_;
  Reply<ProduceResponse> reply_;
  ProduceResponse response_;
  std::vector<Batch> batches_;
  std::size_t next_ = 0;  // the batch to be appended
  std::size_t open_ = 1;  // appends under way, and one while batches are left
  std::int16_t acks_;
  bool appending_ = false;
  bool no_room_ = false;
  bool failed_ = false;
};

}  // namespace

void handle(Call& call, const ProduceRequest& request, Reply<ProduceResponse> reply) {
  const auto job = std::make_shared<ProduceJob>(call.services, request.acks, std::move(reply));
  job->take(call, request);
  job->start();
}

}  // namespace sluice::kafka
