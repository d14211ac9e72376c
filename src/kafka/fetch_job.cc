#include "kafka/fetch_job.h"

#include <algorithm>

#include "log/record_batch.h"

namespace sluice::kafka {

namespace {

constexpr std::int16_t zstd_since = 10;

std::size_t not_negative(std::int32_t value) {
  return static_cast<std::size_t>(std::max(value, 0));
}

// Consumers stop for good on codes that they don't expect here; on kafka_storage_error they try
// again.
ErrorCode read_error(Errc code) {
  switch (code) {
    case Errc::out_of_range:
    case Errc::not_found:
    case Errc::closed:
      return to_error_code(code);
    default:
      return ErrorCode::kafka_storage_error;
  }
}

bool is_zstd(const log::Block& block) {
  const auto header = log::decode_batch_header(block.bytes());
  return header && header->compression_bits() == static_cast<std::uint8_t>(log::Compression::zstd);
}

}  // namespace

FetchJob::FetchJob(Services& services, const FetchRequest& request, Reply<FetchResponse> reply)
    : services_(services),
      reply_(std::move(reply)),
      bytes_max_(std::min(not_negative(request.max_bytes), services.options.fetch_max)),
      bytes_min_(std::min(not_negative(request.min_bytes), bytes_max_)),
      deadline_(
          services.loop.now() +
          std::min<runtime::Duration>(std::chrono::milliseconds(not_negative(request.max_wait_ms)),
                                      services.options.fetch_wait_max)),
      read_committed_(request.isolation_level == 1) {}

void FetchJob::take(const Call& call, const FetchRequest& request) {
  response_.topics.reserve(request.topics.size());
  for (const auto& topic : request.topics) {
    auto& answers = response_.topics.emplace_back(std::string(topic.name)).partitions;
    answers.reserve(topic.partitions.size());
    for (const auto& wanted : topic.partitions) {
      answers.push_back({.index = wanted.index});
      take(call, topic.name, wanted);
    }
  }
}

void FetchJob::take(const Call& call, std::string_view topic,
                    const FetchRequest::Partition& wanted) {
  const auto found = find_partition(call, access::Action::read, topic, wanted.index);
  auto& answer = response_.topics.back().partitions.back();
  answer.error_code = found.error;
  if (answer.error_code == ErrorCode::none)
    answer.error_code = check_leader_epoch(wanted.current_leader_epoch);
  if (answer.error_code != ErrorCode::none) {
    complete_ = true;
    return;
  }
  // There are no transactions yet, so none was aborted; but a reader of committed records wants a
  // list.
  if (read_committed_) answer.aborted_transactions.emplace();
  parts_.push_back({.partition = found.partition,
                    .next = {wanted.fetch_offset},
                    .bytes_max = not_negative(wanted.partition_max_bytes),
                    .topic = response_.topics.size() - 1,
                    .index = response_.topics.back().partitions.size() - 1});
}

void FetchJob::start() {
  reply_.on_cancel([job = weak_from_this()] {
    if (const auto self = job.lock()) self->stop_waiting();
  });
  advance();
}

void FetchJob::advance() {
  while (cursor_ < parts_.size()) {
    Part& part = parts_[cursor_];
    if (!part.due) {
      ++cursor_;
      continue;
    }
    read(part);
    if (reading_) return;  // on_read() goes on
  }
  finish_or_wait();
}

// How many bytes a partition may still add. The first batch of a response comes whole whatever the
// limits say, or a client with small limits would never get past it (KIP-74).
std::size_t FetchJob::budget(const Part& part) const {
  return std::min(part.bytes_max, bytes_max_ - std::min(bytes_, bytes_max_));
}

void FetchJob::read(Part& part) {
  part.due = false;
  if (bytes_ > 0 && budget(part) == 0) {
    complete_ = true;
    return;
  }
  reading_ = true;
  in_read_call_ = true;
  services_.stream.read(part.partition, part.next, budget(part), stream::Want::batches,
                        [self = shared_from_this()](Result<stream::ReadAnswer> answer) {
                          self->on_read(std::move(answer));
                        });
  in_read_call_ = false;
}

void FetchJob::on_read(Result<stream::ReadAnswer> answer) {
  reading_ = false;
  if (done_) return;
  Part& part = parts_[cursor_];
  if (!answer) {
    set_error(part, read_error(answer.error().code));
  } else {
    auto& out = answer_of(part);
    out.high_watermark = answer->bounds.visible_end.value;
    out.last_stable_offset = answer->bounds.visible_end.value;
    out.log_start_offset = answer->bounds.start.value;
    const bool took_all = std::ranges::all_of(
        answer->blocks, [&](const auto& block) { return take_block(part, block); });
    // Nothing to send but a hole that was passed: what comes behind it may be there already.
    part.due = answer->blocks.empty() && answer->next > part.next;
    if (took_all) part.next = answer->next;
  }
  if (!in_read_call_) advance();
}

// False when the block is to be left for the next request.
bool FetchJob::take_block(Part& part, const log::BlockRef& block) {
  const Bytes bytes = block->bytes();
  if (bytes_ > 0 && bytes.size() > budget(part)) {
    complete_ = true;
    return false;
  }
  if (reply_.version() < zstd_since && is_zstd(*block)) {
    set_error(part, ErrorCode::unsupported_compression_type);
    return false;
  }
  answer_of(part).records.slices.push_back({bytes, block});
  part.next = block->until();
  part.bytes_max -= std::min(part.bytes_max, bytes.size());
  bytes_ += bytes.size();
  return true;
}

void FetchJob::set_error(Part& part, ErrorCode code) {
  FetchResponse::Partition failed{.index = answer_of(part).index, .error_code = code};
  failed.aborted_transactions = answer_of(part).aborted_transactions;
  answer_of(part) = std::move(failed);
  part.due = false;
  complete_ = true;
}

void FetchJob::finish_or_wait() {
  if (complete_ || bytes_ >= bytes_min_ || services_.loop.now() >= deadline_) return finish();
  wait();
}

void FetchJob::wait() {
  if (timer_ == runtime::TimerId::none) {
    timer_ = services_.loop.run_at(deadline_, [self = shared_from_this()] {
      self->timer_ = runtime::TimerId::none;
      self->finish();
    });
  }
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    if (part.wait != stream::WaitId::none) continue;
    const auto id = services_.stream.wait_beyond(
        part.partition, part.next, [self = shared_from_this(), i] { self->on_beyond(i); });
    if (!part.due) part.wait = id;
  }
}

// Reads in the next turn, when all that became visible in this one is there.
void FetchJob::on_beyond(std::size_t index) {
  parts_[index].wait = stream::WaitId::none;
  parts_[index].due = true;
  if (std::exchange(wake_posted_, true)) return;
  services_.loop.post([self = shared_from_this()] {
    self->wake_posted_ = false;
    if (self->done_ || self->reading_) return;
    self->cursor_ = 0;
    self->advance();
  });
}

void FetchJob::finish() {
  if (done_) return;
  stop_waiting();
  reply_.send(std::move(response_));
}

void FetchJob::stop_waiting() {
  done_ = true;
  if (timer_ != runtime::TimerId::none)
    services_.loop.cancel(std::exchange(timer_, runtime::TimerId::none));
  for (Part& part : parts_) {
    if (part.wait != stream::WaitId::none)
      services_.stream.cancel(std::exchange(part.wait, stream::WaitId::none));
  }
}

}  // namespace sluice::kafka
