#include "runtime/mailbox.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <deque>
#include <utility>

#include "base/assert.h"

namespace sluice::runtime {

namespace {

enum class Kind : std::uint8_t { request, answer, send };

constexpr std::size_t cache_line = 64;

}  // namespace

// One direction between two shards. The writer's, the reader's and the shared fields lie in cache
// lines of their own.
//
// The writer never asks which places are free: with at most `capacity` requests and sends that are
// not read (taken_ says so) and at most `capacity` answers (the asker counts what it has
// outstanding), 2 * capacity places are enough.
// What the two sides write lies on lines of its own.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
class Mailboxes::Ring {
 public:
  Ring(ShardId from_in, ShardId to_in, std::size_t capacity)
      : from(from_in), to(to_in), capacity_(capacity), places_(std::bit_ceil(2 * capacity)) {}

  const ShardId from;
  const ShardId to;

  // On the writer's shard.
  [[nodiscard]] bool has_room_to_send() const { return sent_ - taken_.load() < capacity_; }
  [[nodiscard]] bool has_room_to_request() const {
    return outstanding_ < capacity_ && has_room_to_send();
  }
  void put(Task task, Kind kind) {
    places_[written_++ & (places_.size() - 1)] = {std::move(task), kind};
    if (kind != Kind::answer) ++sent_;
    if (kind == Kind::request) ++outstanding_;
  }
  void got_answer() { --outstanding_; }
  // Shows the reader all that was put. True: the reader has not been called since it last looked.
  [[nodiscard]] bool publish() {
    published_.store(written_);
    return !reader_called_.exchange(true);
  }
  bool staged = false;       // something was put since the last publish()
  std::deque<Task> waiters;  // for room, oldest first

  // On the reader's shard. Runs what is published; `on_answer` before each answer.
  template <class OnAnswer>
  void run_published(OnAnswer on_answer) {
    reader_called_.store(false);
    auto taken = taken_.load(std::memory_order_relaxed);
    for (const auto end = published_.load(); read_ != end;) {
      auto [task, kind] = std::move(places_[read_++ & (places_.size() - 1)]);
      if (kind == Kind::answer) {
        on_answer();
      } else {
        ++taken;
      }
      if (kind == Kind::request) ++unanswered_;
      task();
    }
    taken_.store(taken);
  }
  void answered() {
    SLUICE_ASSERT(unanswered_ > 0);  // one answer per request
    --unanswered_;
  }

  // Set by a writer that waits for room, cleared by the reader when it has made some.
  std::atomic<bool> writer_waits{false};

 private:
  struct Place {
    Task task;
    Kind kind = Kind::send;
  };

  const std::size_t capacity_;
  std::vector<Place> places_;

  alignas(cache_line) std::uint64_t written_ = 0;
  std::uint64_t sent_ = 0;         // of written_: requests and sends
  std::uint64_t outstanding_ = 0;  // requests whose answers have not come

  alignas(cache_line) std::uint64_t read_ = 0;
  std::uint64_t unanswered_ = 0;

  // Sequentially consistent: whoever says "I wait" or "I look" and then looks cannot miss what the
  // other has done.
  alignas(cache_line) std::atomic<std::uint64_t> published_{0};
  std::atomic<std::uint64_t> taken_{0};  // requests and sends that the reader has run
  std::atomic<bool> reader_called_{false};
};

// What one shard has put into its rings during a turn.
class Mailboxes::Outbox final : public TurnHook {
 public:
  Outbox(Mailboxes& mailboxes, Loop& loop) : mailboxes_(mailboxes), loop_(loop) {
    loop.add_turn_hook(*this, TurnPhase::exchange);
  }
  ~Outbox() { loop_.remove_turn_hook(*this); }

  void stage(Ring& ring) {
    if (std::exchange(ring.staged, true)) return;
    if (staged_.empty()) loop_.need_turn_end(TurnPhase::exchange);
    staged_.push_back(&ring);
  }

  void on_turn_end() override {
    for (auto* ring : staged_) {
      ring->staged = false;
      mailboxes_.hand_over(*ring);
    }
    staged_.clear();
  }

 private:
  Mailboxes& mailboxes_;
  Loop& loop_;
  std::vector<Ring*> staged_;
};

Mailboxes::Mailboxes(std::vector<Loop*> loops, std::size_t capacity) : loops_(std::move(loops)) {
  for (std::uint32_t from = 0; from < shards(); ++from) {
    outboxes_.push_back(std::make_unique<Outbox>(*this, *loops_[from]));
    for (std::uint32_t to = 0; to < shards(); ++to) {
      rings_.push_back(std::make_unique<Ring>(ShardId{from}, ShardId{to}, capacity));
    }
  }
}

Mailboxes::~Mailboxes() = default;

std::uint32_t Mailboxes::shards() const { return static_cast<std::uint32_t>(loops_.size()); }

Mailboxes::Ring& Mailboxes::ring(ShardId from, ShardId to) {
  return *rings_[from.value * shards() + to.value];
}

bool Mailboxes::try_request(ShardId from, ShardId to, Task& request) {
  auto& out = ring(from, to);
  if (!out.has_room_to_request()) return false;
  out.put(std::move(request), Kind::request);
  outboxes_[from.value]->stage(out);
  return true;
}

void Mailboxes::answer(ShardId from, ShardId to, Task task) {
  ring(to, from).answered();
  auto& out = ring(from, to);
  out.put(std::move(task), Kind::answer);
  outboxes_[from.value]->stage(out);
}

bool Mailboxes::try_send(ShardId from, ShardId to, Task& task) {
  auto& out = ring(from, to);
  if (!out.has_room_to_send()) return false;
  out.put(std::move(task), Kind::send);
  outboxes_[from.value]->stage(out);
  return true;
}

void Mailboxes::on_room(ShardId from, ShardId to, Task callback) {
  auto& out = ring(from, to);
  out.waiters.push_back(std::move(callback));
  loops_[from.value]->post([this, &out] { offer_room(out); });
}

void Mailboxes::hand_over(Ring& ring) {
  if (ring.publish()) loops_[ring.to.value]->post_from_outside([this, &ring] { drain(ring); });
}

// On the reader's shard.
void Mailboxes::drain(Ring& ring) {
  auto& back = this->ring(ring.to, ring.from);
  ring.run_published([&] { back.got_answer(); });
  if (!back.waiters.empty()) offer_room(back);
  if (ring.writer_waits.exchange(false)) {
    loops_[ring.from.value]->post_from_outside([this, &ring] { offer_room(ring); });
  }
}

// On the writer's shard. A callback that waits again does so behind the others.
void Mailboxes::offer_room(Ring& ring) {
  for (auto count = ring.waiters.size(); count > 0 && ring.has_room_to_request(); --count) {
    auto callback = std::move(ring.waiters.front());
    ring.waiters.pop_front();
    callback();
  }
  if (ring.waiters.empty()) return;
  ring.writer_waits.store(true);
  if (ring.has_room_to_request())
    loops_[ring.from.value]->post([this, &ring] { offer_room(ring); });
}

}  // namespace sluice::runtime
