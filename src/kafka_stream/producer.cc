#include "kafka_stream/producer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/logger.h"
#include "log/record_batch.h"
#include "runtime/thread_worker.h"

namespace sluice::kafka_stream {
namespace {

constexpr Logger logger("kafka_cluster");

// What librdkafka keeps for a record beside its bytes, about.
constexpr std::uint64_t record_overhead = 256;
constexpr auto poll_interval = std::chrono::milliseconds(100);

std::uint64_t memory_of(const log::Block& block) {
  return block.footprint() + block.records().size() * record_overhead;
}

rd_kafka_headers_t* kafka_headers(const log::Block& block, const log::Record& record) {
  rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers_count);
  log::for_each_header(block, record, [&](const log::RecordHeader& header) {
    rd_kafka_header_add(headers, header.name.data(), static_cast<ssize_t>(header.name.size()),
                        header.value.data(), static_cast<ssize_t>(header.value.size()));
  });
  return headers;
}

rd_kafka_vu_t value_of(rd_kafka_vtype_t type) {
  rd_kafka_vu_t value{};
  value.vtype = type;
  return value;
}

}  // namespace

// The records of one block on their way; each holds a pointer to it. The bytes that librdkafka
// sends are the block's.
class Producer::Batch {
 public:
  Batch(std::shared_ptr<const log::Block> block, Done<Stored> done)
      : block_(std::move(block)),
        done_(std::move(done)),
        memory_(memory_of(*block_)),
        open_(block_->records().size()) {}

  [[nodiscard]] std::uint64_t memory() const { return memory_; }
  // True: it was the last one.
  bool answered(std::size_t count = 1) { return open_.fetch_sub(count) == count; }
  // On one thread at a time: the producer's, and the caller's for what is not handed over.
  void stored(Offset offset) {
    stored_ = stored_ ? Stored{std::min(stored_->first, offset), std::max(stored_->last, offset)}
                      : Stored{offset, offset};
  }
  void failed(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
  }
  void finish() {
    if (error_) return done_(std::unexpected(std::move(*error_)));
    done_(*stored_);
  }

 private:
  const std::shared_ptr<const log::Block> block_;
  Done<Stored> done_;
  const std::uint64_t memory_;
  std::atomic<std::size_t> open_;  // records without an answer
  std::optional<Stored> stored_;
  std::mutex mutex_;
  std::optional<Error> error_;
};

Result<std::unique_ptr<Producer>> Producer::make(const Options& options, Task on_room) {
  std::unique_ptr<Producer> producer(new Producer(options, std::move(on_room)));
  SLUICE_TRY_ASSIGN(producer->instance_, producer->make_instance());
  producer->thread_ = std::thread([&it = *producer] { it.run(); });
  return producer;
}

Producer::Producer(const Options& options, Task on_room)
    : options_(options), buffer_(options.buffer), on_room_(std::move(on_room)) {}

Producer::~Producer() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

Result<std::shared_ptr<Producer::Instance>> Producer::make_instance() const {
  const auto kbytes = std::to_string(std::min<std::uint64_t>(buffer_ / 512 + 65536, 2'147'483'647));
  const auto messages =
      std::to_string(std::min<std::uint64_t>(buffer_ / record_overhead + 1'000'000, 100'000'000));
  const auto timeout = std::to_string(options_.timeout.count());
  const auto ack_timeout = std::to_string(std::min<std::int64_t>(options_.timeout.count(), 30'000));
  const Properties properties = {
      {"enable.idempotence", "true"},
      {"acks", "all"},
      {"linger.ms", "1"},
      {"retry.backoff.ms", "50"},
      // The smallest limit that a topic usually has is 1 MiB; the log's own is 16 MiB.
      {"batch.size", "500000"},
      {"message.max.bytes", "33554432"},
      {"message.timeout.ms", timeout},
      {"request.timeout.ms", ack_timeout},
      // Our own bound is met before these.
      {"queue.buffering.max.kbytes", kbytes},
      {"queue.buffering.max.messages", messages},
  };
  auto instance = std::make_shared<Instance>();
  SLUICE_TRY_ASSIGN(instance->client, make_producer(options_, properties));
  return instance;
}

rd_kafka_topic_t* Producer::Instance::topic(const std::string& name) {
  const std::lock_guard lock(mutex);
  auto& topic = topics[name];
  if (!topic) topic = make_topic(client.get(), name);
  return topic.get();
}

std::shared_ptr<Producer::Instance> Producer::instance() const {
  const std::lock_guard lock(mutex_);
  return instance_;
}

void Producer::forget(const std::string& topic) {
  const auto instance = this->instance();
  const std::lock_guard lock(instance->mutex);
  instance->topics.erase(topic);
}

void Producer::produce(const std::string& topic, std::uint32_t partition,
                       std::shared_ptr<const log::Block> block, Done<Stored> done) {
  const auto instance = this->instance();
  rd_kafka_topic_t* const handle = instance->topic(topic);
  const log::Block& records = *block;
  auto batch = std::make_unique<Batch>(std::move(block), std::move(done));
  pending_.fetch_add(batch->memory());
  const std::size_t count = records.records().size();
  std::size_t taken = 0;
  if (handle != nullptr)
    while (taken < count &&
           hand_over(*instance, handle, partition, records, records.records()[taken], *batch))
      ++taken;
  Batch* const shared = batch.release();  // whoever answers the last record owns it
  if (taken == count) return;
  shared->failed(error_of(rd_kafka_last_error(), topic));
  if (shared->answered(count - taken)) finish(std::unique_ptr<Batch>(shared));
}

bool Producer::hand_over(Instance& instance, rd_kafka_topic_t* topic, std::uint32_t partition,
                         const log::Block& block, const log::Record& record, Batch& batch) {
  std::array values = {
      value_of(RD_KAFKA_VTYPE_RKT),       value_of(RD_KAFKA_VTYPE_PARTITION),
      value_of(RD_KAFKA_VTYPE_KEY),       value_of(RD_KAFKA_VTYPE_VALUE),
      value_of(RD_KAFKA_VTYPE_TIMESTAMP), value_of(RD_KAFKA_VTYPE_OPAQUE),
      value_of(RD_KAFKA_VTYPE_HEADERS),
  };
  values[0].u.rkt = topic;
  values[1].u.i32 = static_cast<std::int32_t>(partition);
  const auto place = [](rd_kafka_vu_t& value, Bytes bytes) {
    value.u.mem.ptr = const_cast<std::byte*>(bytes.data());  // only read; the block outlives it
    value.u.mem.size = bytes.size();
  };
  if (record.key_at != log::Record::none) place(values[2], block.key(record));
  if (record.value_at != log::Record::none) place(values[3], block.value(record));
  values[4].u.i64 = block.timestamp(record);
  values[5].u.ptr = &batch;
  std::size_t used = values.size() - 1;
  rd_kafka_headers_t* headers = nullptr;
  if (record.headers_count > 0) {
    headers = kafka_headers(block, record);
    values[used++].u.headers = headers;
  }
  rd_kafka_error_t* const error = rd_kafka_produceva(instance.client.get(), values.data(), used);
  if (error == nullptr) return true;
  batch.failed(error_of(rd_kafka_error_code(error), rd_kafka_topic_name(topic)));
  rd_kafka_error_destroy(error);
  if (headers != nullptr) rd_kafka_headers_destroy(headers);
  return false;
}

void Producer::run() {
  runtime::set_thread_name("cluster-write");
  while (!stopping_) {
    const auto instance = this->instance();
    const Queue queue(rd_kafka_queue_get_main(instance->client.get()));
    while (!stopping_ && instance == this->instance()) {
      const Event event(rd_kafka_queue_poll(queue.get(), milliseconds(poll_interval)));
      if (event) serve(event.get());
    }
    // Everything that this instance still holds is answered before it goes.
    rd_kafka_purge(instance->client.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(instance->client.get()) > 0) {
      const Event event(rd_kafka_queue_poll(queue.get(), milliseconds(poll_interval)));
      if (event) serve(event.get());
    }
  }
}

void Producer::serve(rd_kafka_event_t* event) {
  if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_DR) return;
  bool failures = false;
  while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
    auto* const batch = static_cast<Batch*>(message->_private);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      batch->stored({message->offset});
    } else {
      failures = true;
      batch->failed(error_of(message->err, rd_kafka_topic_name(message->rkt)));
    }
    if (batch->answered()) finish(std::unique_ptr<Batch>(batch));
  }
  if (failures) replace_if_dead();
  on_room_();
}

void Producer::finish(std::unique_ptr<Batch> batch) {
  pending_.fetch_sub(batch->memory());
  batch->finish();
}

void Producer::replace_if_dead() {
  const auto instance = this->instance();
  std::array<char, 512> text{};
  if (rd_kafka_fatal_error(instance->client.get(), text.data(), text.size()) ==
      RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  auto fresh = make_instance();
  logger.error("the producer was given up and is made anew",
               {{"reason", text.data()}, {"error", fresh ? "" : fresh.error().text}});
  if (!fresh) return;  // tried again at the next failure
  const std::lock_guard lock(mutex_);
  instance_ = std::move(*fresh);
}

bool Producer::flush(std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!idle()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace sluice::kafka_stream
