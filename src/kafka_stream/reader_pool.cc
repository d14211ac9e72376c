#include "kafka_stream/reader_pool.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/logger.h"
#include "runtime/thread_worker.h"

namespace sluice::kafka_stream {
namespace {

constexpr Logger logger("kafka_cluster");

constexpr std::size_t helper_count = 2;
constexpr std::size_t cursors_max = 8;  // of one helper
constexpr std::size_t asked_together_max = 256;
constexpr auto cursor_idle = std::chrono::seconds(2);

const Properties consumer_properties = {
    {"enable.partition.eof", "true"},
    {"auto.offset.reset", "error"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"queued.min.messages", "10000"},
    {"queued.max.messages.kbytes", "1024"},
    {"fetch.message.max.bytes", "1048576"},
    {"fetch.max.bytes", "33554432"},
    {"receive.message.max.bytes", "67108864"},
    {"fetch.wait.max.ms", "10"},
    {"fetch.error.backoff.ms", "50"},
    // librdkafka remembers the leaders of partitions that it does not fetch for three times as
    // long; so long look-ups ask a broker that has died.
    {"topic.metadata.refresh.interval.ms", "1000"},
};

}  // namespace

// One thread and its consumer.
class ReaderPool::Helper {
 public:
  Helper(ReaderPool& pool, Client client) : pool_(pool), client_(std::move(client)) {
    thread_ = std::thread([this] { run(); });
  }
  ~Helper() {
    {
      const std::lock_guard lock(pool_.mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
    cursors_.clear();
  }

  // With the pool's mutex held.
  void push(Job job) {
    jobs_.push_back(std::move(job));
    changed_.notify_one();
  }
  [[nodiscard]] std::size_t load() const { return jobs_.size() + (busy_ ? 1 : 0); }
  // `standing_` is what `cursors_` was after the last job.
  [[nodiscard]] bool stands_at(const Standing& at) const {
    return std::ranges::find(standing_, at) != standing_.end();
  }

  // --- on its thread
  [[nodiscard]] rd_kafka_t* client() { return client_.get(); }
  Result<stream::ReadAnswer> read(const Place& place, Offset from, std::size_t bytes_max) {
    const auto found =
        std::ranges::find_if(cursors_, [&](const auto& cursor) { return cursor.place == place; });
    if (found != cursors_.end() && found->cursor->at() == from && !found->cursor->is_over()) {
      cursors_.splice(cursors_.begin(), cursors_, found);
    } else {
      if (found != cursors_.end()) cursors_.erase(found);
      if (cursors_.size() == cursors_max) cursors_.pop_back();
      SLUICE_TRY_ASSIGN(auto cursor, Cursor::open(client(), place, from));
      cursors_.push_front({place, std::move(cursor)});
    }
    auto answer = cursors_.front().cursor->read(bytes_max);
    if (!answer || cursors_.front().cursor->is_over()) cursors_.pop_front();
    return answer;
  }
  Result<stream::Resolved> resolve(const Place& place, stream::Start start, WallMs when) {
    if (start == stream::Start::at_time) return find_time(place, when);
    if (start == stream::Start::max_time) return find_max_time(place);
    SLUICE_TRY_ASSIGN(const auto bounds, query_bounds(client(), place));
    return stream::Resolved{start == stream::Start::earliest ? bounds.start : bounds.visible_end};
  }
  // Of a read. Who asked asks again, and says nothing. What retention took, and streams that are
  // gone, are everyday matters.
  void note_failure(const Error& error) {
    if (error.code == Errc::out_of_range || error.code == Errc::not_found) return;
    const auto now = Cursor::Clock::now().time_since_epoch();
    if (!failures_.allow(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()))
      return;
    logger.warn("reading a partition of the cluster failed; it is tried again",
                {{"reason", error.text}, {"suppressed", failures_.take_suppressed()}});
  }

 private:
  struct Open {
    Place place;
    std::unique_ptr<Cursor> cursor;
  };

  // The first record of timestamp `when` or later.
  Result<stream::Resolved> find_time(const Place& place, WallMs when) {
    SLUICE_TRY_ASSIGN(const auto found, query_time(client(), place, when));
    if (!found) {
      SLUICE_TRY_ASSIGN(const auto bounds, query_bounds(client(), place));
      return stream::Resolved{bounds.visible_end};
    }
    // librdkafka tells the offset only.
    SLUICE_TRY_ASSIGN(const auto answer, read(place, *found, 1));
    if (answer.blocks.empty()) return stream::Resolved{*found};
    const log::Block& block = *answer.blocks.front();
    const log::Record& record = block.records().front();
    return stream::Resolved{block.from() + record.offset_delta, block.timestamp(record)};
  }

  // The protocol version that librdkafka speaks cannot ask for it. But it can ask whether there is
  // a record of a given time or later: the greatest such time is found by halving.
  Result<stream::Resolved> find_max_time(const Place& place) {
    SLUICE_TRY_ASSIGN(stream::Resolved best, find_time(place, 0));
    if (best.timestamp < 0) return best;
    constexpr WallMs latest = std::numeric_limits<WallMs>::max();
    std::optional<WallMs> above;  // there is no record of this time or later
    for (WallMs step = 1; best.timestamp < latest && (!above || best.timestamp + 1 < *above);) {
      const WallMs when = above ? best.timestamp + (*above - best.timestamp) / 2
                                : best.timestamp + std::min(step, latest - best.timestamp);
      SLUICE_TRY_ASSIGN(const stream::Resolved found, find_time(place, when));
      if (found.timestamp >= when) {
        best = found;
        step *= 2;
      } else {
        above = when;
      }
    }
    return best;
  }

  void run() {
    runtime::set_thread_name("cluster-read");
    std::unique_lock lock(pool_.mutex_);
    while (true) {
      while (jobs_.empty() && !stopping_) {
        if (cursors_.empty()) {
          changed_.wait(lock);
        } else if (changed_.wait_for(lock, cursor_idle) == std::cv_status::timeout) {
          close_idle(lock);
        }
      }
      if (stopping_) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      busy_ = true;
      lock.unlock();
      job(this);
      job = nullptr;
      lock.lock();
      busy_ = false;
      --pool_.under_way_;
      note_cursors();
    }
  }

  void close_idle(std::unique_lock<std::mutex>& lock) {
    standing_.clear();
    lock.unlock();
    const auto old = Cursor::Clock::now() - cursor_idle;
    cursors_.remove_if([&](const Open& open) { return open.cursor->used() < old; });
    lock.lock();
    note_cursors();
  }

  void note_cursors() {
    standing_.clear();
    for (const auto& [place, cursor] : cursors_) standing_.emplace_back(place, cursor->at());
  }

  ReaderPool& pool_;
  const Client client_;
  std::list<Open> cursors_;  // the last used first
  LogLimit failures_{1};
  // With the pool's mutex held:
  std::deque<Job> jobs_;
  bool busy_ = false;
  bool stopping_ = false;
  std::vector<Standing> standing_;
  std::condition_variable changed_;
  std::thread thread_;
};

Result<std::unique_ptr<ReaderPool>> ReaderPool::make(const Options& options) {
  std::unique_ptr<ReaderPool> pool(new ReaderPool(options.requests));
  for (std::size_t i = 0; i < helper_count; ++i) {
    SLUICE_TRY_ASSIGN(Client client, make_consumer(options, consumer_properties));
    auto helper = std::make_unique<Helper>(*pool, std::move(client));
    const std::lock_guard lock(pool->mutex_);
    pool->helpers_.push_back(std::move(helper));
  }
  return pool;
}

ReaderPool::ReaderPool(std::uint32_t requests) : requests_(requests) {}
ReaderPool::~ReaderPool() = default;

rd_kafka_t* ReaderPool::client_of(Helper& helper) { return helper.client(); }

std::unexpected<Error> ReaderPool::too_many() const {
  return fail(Errc::busy, "{} reads of the cluster are under way", requests_);
}

bool ReaderPool::enter() {
  const std::lock_guard lock(mutex_);
  if (under_way_ == requests_) return false;
  ++under_way_;
  return true;
}

void ReaderPool::push(Job job, const std::optional<Standing>& goes_on_at) {
  const std::lock_guard lock(mutex_);
  if (goes_on_at)
    for (const auto& helper : helpers_)
      if (helper->stands_at(*goes_on_at)) return helper->push(std::move(job));
  const auto idlest =
      std::ranges::min_element(helpers_, {}, [](const auto& helper) { return helper->load(); });
  (*idlest)->push(std::move(job));
}

void ReaderPool::read(Place place, Offset from, std::size_t bytes_max,
                      Done<stream::ReadAnswer> done) {
  const std::optional<Standing> at = std::pair(place, from);
  submit<stream::ReadAnswer>(
      [place = std::move(place), from, bytes_max](Helper& helper) {
        auto answer = helper.read(place, from, bytes_max);
        if (!answer) helper.note_failure(answer.error());
        return answer;
      },
      std::move(done), at);
}

void ReaderPool::bounds(Place place, Done<stream::Bounds> done) {
  if (!enter()) return done(too_many());
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back({std::move(place), std::move(done)});
  }
  push([this](Helper* helper) { answer_asked(*helper); }, std::nullopt);
}

void ReaderPool::answer_asked(Helper& helper) {
  std::vector<Asked> asked = take_asked();
  std::vector<Place> places;
  places.reserve(asked.size());
  for (const Asked& one : asked) places.push_back(one.place);
  auto answers = query_bounds(helper.client(), places);
  for (std::size_t i = 0; i < asked.size(); ++i) asked[i].done(std::move(answers[i]));
}

// Those of the first one's topic, each place once: so a topic that is gone delays nobody else.
std::vector<ReaderPool::Asked> ReaderPool::take_asked() {
  const std::lock_guard lock(mutex_);
  std::vector<Asked> taken;
  std::deque<Asked> left;
  for (Asked& one : asked_) {
    const bool fits =
        taken.empty() ||
        (taken.size() < asked_together_max && one.place.topic == taken.front().place.topic &&
         std::ranges::find(taken, one.place, &Asked::place) == taken.end());
    if (fits) {
      taken.push_back(std::move(one));
    } else {
      left.push_back(std::move(one));
    }
  }
  asked_ = std::move(left);
  return taken;
}

void ReaderPool::resolve(Place place, stream::Start start, WallMs when,
                         Done<stream::Resolved> done) {
  submit<stream::Resolved>([place = std::move(place), start,
                            when](Helper& helper) { return helper.resolve(place, start, when); },
                           std::move(done), std::nullopt);
}

}  // namespace sluice::kafka_stream
