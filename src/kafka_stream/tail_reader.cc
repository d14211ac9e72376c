#include "kafka_stream/tail_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/logger.h"
#include "runtime/thread_worker.h"

namespace sluice::kafka_stream {
namespace {

constexpr Logger logger("kafka_cluster");

constexpr std::int64_t credit_bytes = 8 << 20;
constexpr std::size_t block_size = 256 << 10;
constexpr std::size_t messages_at_once = 1000;
constexpr auto poll_interval = std::chrono::milliseconds(200);
constexpr auto retry_delay = std::chrono::milliseconds(200);

const Properties consumer_properties = {
    {"enable.partition.eof", "false"},         {"auto.offset.reset", "error"},
    {"enable.auto.commit", "false"},           {"enable.auto.offset.store", "false"},
    {"queued.min.messages", "100000"},         {"queued.max.messages.kbytes", "16384"},
    {"fetch.message.max.bytes", "1048576"},    {"fetch.max.bytes", "33554432"},
    {"receive.message.max.bytes", "67108864"}, {"fetch.wait.max.ms", "500"},
    {"fetch.error.backoff.ms", "50"},
};

}  // namespace

// Bytes that were handed out and not yet taken.
class Delivery::Credit {
 public:
  void take(std::int64_t bytes) { used_.fetch_add(bytes); }
  void give(std::int64_t bytes) {
    const std::int64_t before = used_.fetch_sub(bytes);
    if (before < credit_bytes || before - bytes >= credit_bytes) return;
    const std::lock_guard lock(mutex_);
    free_.notify_all();
  }
  [[nodiscard]] bool used_up() const { return used_.load() >= credit_bytes; }
  void wait(const std::atomic<bool>& stopping) {
    if (!used_up()) return;
    std::unique_lock lock(mutex_);
    free_.wait(lock, [&] { return !used_up() || stopping; });
  }
  void wake() {
    const std::lock_guard lock(mutex_);
    free_.notify_all();
  }

 private:
  std::atomic<std::int64_t> used_ = 0;
  std::mutex mutex_;
  std::condition_variable free_;
};

Delivery::Delivery(std::shared_ptr<log::Block> block, std::shared_ptr<Credit> credit)
    : block_(std::move(block)), credit_(std::move(credit)) {
  credit_->take(static_cast<std::int64_t>(block_->footprint()));
}
Delivery::~Delivery() { credit_->give(static_cast<std::int64_t>(block_->footprint())); }

struct TailReader::Followed {
  Place place;
  std::uint64_t follow = 0;
  Offset next;  // wanted
  Topic topic;  // while it is read
  BlockWriter writer;
  std::optional<Cursor::Clock::time_point> retry_at;  // while it is not
};

Result<std::unique_ptr<TailReader>> TailReader::make(const Options& options, Deliver deliver) {
  std::unique_ptr<TailReader> reader(new TailReader(std::move(deliver)));
  SLUICE_TRY_ASSIGN(reader->client_, make_consumer(options, consumer_properties));
  reader->queue_.reset(rd_kafka_queue_new(reader->client_.get()));
  reader->thread_ = std::thread([&it = *reader] { it.run(); });
  return reader;
}

TailReader::TailReader(Deliver deliver)
    : deliver_(std::move(deliver)), credit_(std::make_shared<Delivery::Credit>()) {}

TailReader::~TailReader() {
  stopping_ = true;
  credit_->wake();
  if (queue_) rd_kafka_queue_yield(queue_.get());
  if (thread_.joinable()) thread_.join();
}

void TailReader::start(Place place, std::uint64_t follow, Offset from) {
  give({std::move(place), follow, from});
}

void TailReader::stop(Place place, std::uint64_t follow) {
  give({std::move(place), follow, std::nullopt});
}

bool TailReader::is_full() const { return credit_->used_up(); }

void TailReader::give(Command command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  rd_kafka_queue_yield(queue_.get());
}

// --- the thread

void TailReader::run() {
  runtime::set_thread_name("cluster-tail");
  while (!stopping_) {
    obey();
    begin_again();
    credit_->wait(stopping_);
    read();
  }
  for (const auto& [place, followed] : followed_) end(*followed);
  followed_.clear();
}

void TailReader::obey() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mutex_);
    commands.swap(commands_);
  }
  for (Command& command : commands) {
    const auto found = followed_.find(command.place);
    if (found != followed_.end() && (command.from || found->second->follow == command.follow)) {
      end(*found->second);
      followed_.erase(found);
    }
    if (!command.from) continue;
    auto followed = std::make_unique<Followed>();
    followed->place = command.place;
    followed->follow = command.follow;
    followed->next = *command.from;
    begin(*followed);
    followed_.emplace(std::move(command.place), std::move(followed));
  }
}

void TailReader::begin(Followed& followed) {
  followed.retry_at.reset();
  followed.topic = make_topic(client_.get(), followed.place.topic);
  if (followed.topic &&
      rd_kafka_consume_start_queue(followed.topic.get(),
                                   static_cast<std::int32_t>(followed.place.partition),
                                   followed.next.value, queue_.get()) == 0)
    return;
  followed.topic.reset();
  followed.retry_at = Cursor::Clock::now() + retry_delay;
}

void TailReader::end(Followed& followed) {
  last_topic_ = nullptr;
  if (!followed.topic) return;
  rd_kafka_consume_stop(followed.topic.get(), static_cast<std::int32_t>(followed.place.partition));
  followed.topic.reset();
}

void TailReader::read() {
  const Message first(rd_kafka_consume_queue(queue_.get(), milliseconds(poll_interval)));
  if (!first) return;
  take(*first);
  std::array<rd_kafka_message_t*, messages_at_once> more{};
  const auto count = rd_kafka_consume_batch_queue(queue_.get(), 0, more.data(), more.size());
  for (ssize_t i = 0; i < count; ++i) {
    const Message message(more[static_cast<std::size_t>(i)]);
    take(*message);
  }
  for (Followed* const followed : std::exchange(filled_, {})) flush(*followed);
}

TailReader::Followed* TailReader::find(const rd_kafka_message_t& message) {
  if (message.rkt == nullptr) return nullptr;
  const auto partition = static_cast<std::uint32_t>(message.partition);
  if (message.rkt == last_topic_ && last_ != nullptr && last_->place.partition == partition)
    return last_;
  const auto found = followed_.find({rd_kafka_topic_name(message.rkt), partition});
  if (found == followed_.end()) return nullptr;
  last_topic_ = message.rkt;
  last_ = found->second.get();
  return last_;
}

void TailReader::take(const rd_kafka_message_t& message) {
  Followed* const followed = find(message);
  if (followed == nullptr || !followed->topic) return;
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) return on_error(*followed, message.err);
  if (message.offset < followed->next.value) return;
  BlockWriter& writer = followed->writer;
  if (!writer.fits(message) || writer.size() >= block_size) flush(*followed);
  if (writer.empty()) filled_.push_back(followed);
  writer.add(message);
  followed->next = {message.offset + 1};
}

void TailReader::flush(Followed& followed) {
  if (followed.writer.empty()) return;
  deliver_(followed.follow, std::make_shared<const Delivery>(followed.writer.finish(), credit_));
}

void TailReader::on_error(Followed& followed, rd_kafka_resp_err_t error) {
  logger.warn("reading the end of a partition is begun again",
              {{"partition", to_string(followed.place)}, {"reason", rd_kafka_err2str(error)}});
  end(followed);
  followed.retry_at = Cursor::Clock::now() + retry_delay;
}

void TailReader::begin_again() {
  const auto now = Cursor::Clock::now();
  for (const auto& [place, followed] : followed_) {
    if (!followed->retry_at || now < *followed->retry_at) continue;
    const auto bounds = query_bounds(client_.get(), place);
    if (!bounds) {
      followed->retry_at = Cursor::Clock::now() + retry_delay;
      continue;
    }
    const Offset next = std::clamp(followed->next, bounds->start, bounds->visible_end);
    if (next != followed->next)
      logger.error("the cluster no longer has what was to be read next",
                   {{"partition", to_string(place)},
                    {"wanted", followed->next.value},
                    {"goes_on_at", next.value}});
    followed->next = next;
    begin(*followed);
  }
}

}  // namespace sluice::kafka_stream
