#include "runtime/real_loop.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "runtime/listener.h"
#include "runtime/poll_set.h"
#include "runtime/sockets.h"
#include "runtime/thread_worker.h"
#include "runtime/timer_queue.h"
#include "runtime/turn_hooks.h"

namespace sluice::runtime {

namespace {

namespace asio = boost::asio;

using std::chrono::steady_clock;
using std::chrono::system_clock;

// Turns follow each other without asking the io_context as long as there is work, but no longer
// than this.
constexpr auto drain_max = std::chrono::milliseconds(1);

// An eventfd in the poll set: makes a sleeping loop turn.
class Alarm final : public SocketHandler {
 public:
  explicit Alarm(PollSet& poll_set) : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    SLUICE_ASSERT(fd_.valid());
    poll_set.add(fd_.get(), *this);
  }

  void ring() { ::eventfd_write(fd_.get(), 1); }
  void on_readable() override {
    eventfd_t count = 0;
    ::eventfd_read(fd_.get(), &count);
  }
  void on_writable() override {}

 private:
  FileDescriptor fd_;
};

// Tasks from other threads, and the flag by which they know whether the loop has to be woken.
class Inbox {
 public:
  explicit Inbox(PollSet& poll_set) : alarm_(poll_set) {}

  void push(Task task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    pending_.store(true);
    if (sleeping_.exchange(false)) alarm_.ring();
  }

  // Appends what has arrived to `tasks`.
  void take(std::vector<Task>& tasks) {
    if (!pending_.load()) return;
    pending_.store(false);
    const std::lock_guard lock(mutex_);
    std::ranges::move(tasks_, std::back_inserter(tasks));
    tasks_.clear();
  }

  // Before the loop sleeps; false: something has arrived, do not sleep. Sequentially consistent
  // against push(): either this sees the task, or push() sees the sleeper.
  bool may_sleep() {
    sleeping_.store(true);
    if (!pending_.load()) return true;
    woke();
    return false;
  }
  void woke() { sleeping_.store(false); }

 private:
  Alarm alarm_;
  std::mutex mutex_;
  std::vector<Task> tasks_;
  std::atomic<bool> pending_{false};
  std::atomic<bool> sleeping_{false};
};

class AsioLoop final : public RealLoop {
 public:
  AsioLoop()
      : nested_(context_, poll_set_.fd()),
        timer_(context_),
        signals_(context_),
        hangups_(context_) {
    read_clocks();
  }
  ~AsioLoop() override { nested_.release(); }  // poll_set_ owns it

  void run() override;
  void stop() override;
  void on_terminate_signal(Task handler);
  void on_hangup_signal(Task handler);

  [[nodiscard]] TimePoint now() const override { return now_; }
  [[nodiscard]] WallMs wall_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch() +
                                                                 wall_offset_)
        .count();
  }

  void post(Task task) override { posted_.push_back(std::move(task)); }
  void post_from_outside(Task task) override { inbox_.push(std::move(task)); }
  TimerId run_at(TimePoint when, Task task) override { return timers_.add(when, std::move(task)); }
  void cancel(TimerId timer) override { timers_.cancel(timer); }
  void add_turn_hook(TurnHook& hook, TurnPhase phase) override { hooks_.add(hook, phase); }
  void remove_turn_hook(TurnHook& hook) override { hooks_.remove(hook); }
  void need_turn_end(TurnPhase phase) override {
    if (!hooks_.will_run(phase)) post([] {});
  }

  Result<Endpoint> listen(const Endpoint& endpoint, AcceptHandler& handler) override;
  void unlisten(AcceptHandler& handler) override;
  void attach(Socket socket, SocketHandler& handler) override {
    poll_set_.add(socket.value, handler);
  }
  void watch(Socket socket, Interest interest) override {
    poll_set_.set_interest(socket.value, interest);
  }
  void close(Socket socket) override {
    poll_set_.remove(socket.value);
    const FileDescriptor closing(socket.value);
  }
  Transfer receive(Socket socket, MutableBytes into) override {
    return receive_some(socket.value, into);
  }
  Transfer send(Socket socket, std::span<const Bytes> pieces) override {
    return send_some(socket.value, pieces);
  }
  [[nodiscard]] Endpoint local_endpoint(Socket socket) const override {
    return local_endpoint_of(socket.value);
  }
  [[nodiscard]] Endpoint peer_endpoint(Socket socket) const override {
    return peer_endpoint_of(socket.value);
  }

  std::unique_ptr<Worker> make_worker(std::string_view name) override {
    return std::make_unique<ThreadWorker>(*this, name);
  }

 private:
  void read_clocks();
  bool drain();
  bool turn();
  bool run_posted();
  void sleep();
  void wait_for_sockets();
  void wait_for_timer();
  void wait_for_hangup();

  asio::io_context context_{1};
  // Without it a poll() while nothing is waited for would stop the io_context for good.
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  PollSet poll_set_;
  asio::posix::stream_descriptor nested_;
  bool waits_for_sockets_ = false;
  asio::steady_timer timer_;
  TimePoint timer_at_ = TimePoint::max();  // what timer_ waits for
  asio::signal_set signals_;
  asio::signal_set hangups_;
  Task on_hangup_;

  TimePoint now_;
  Duration wall_offset_{};
  Inbox inbox_{poll_set_};
  std::vector<Task> posted_;
  std::vector<Task> running_;  // capacity kept from turn to turn
  TimerQueue timers_;
  TurnHooks hooks_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Listener>> closed_listeners_;  // may be in a call until the turn ends
  std::atomic<bool> stopping_{false};
};

void AsioLoop::run() {
  while (!stopping_.load()) {
    read_clocks();
    if (drain()) {
      context_.poll();  // much to do: let Asio's own handlers have their share
    } else {
      sleep();
    }
  }
  stopping_.store(false);
}

void AsioLoop::stop() {
  stopping_.store(true);
  post_from_outside([] {});
}

void AsioLoop::read_clocks() {
  now_ = steady_clock::now();
  wall_offset_ = system_clock::now().time_since_epoch() - now_.time_since_epoch();
}

// Turns until nothing is left; true when it gave up for having taken long.
bool AsioLoop::drain() {
  const auto end = now_ + drain_max;
  while (now_ < end && !stopping_.load(std::memory_order_relaxed)) {
    if (!turn()) return false;
    now_ = steady_clock::now();
  }
  return true;
}

// False when there was nothing to do.
bool AsioLoop::turn() {
  hooks_.begin();
  bool worked = poll_set_.serve() > 0;
  if (const auto timer = timers_.next(); timer && *timer <= now_) {
    timers_.run_due(now_);
    worked = true;
  }
  worked |= run_posted();
  if (!worked) {
    hooks_.skip();
    return false;
  }
  hooks_.run();
  closed_listeners_.clear();
  return true;
}

// What these tasks post waits for the next turn.
bool AsioLoop::run_posted() {
  running_.swap(posted_);
  inbox_.take(running_);
  for (auto& task : running_) task();
  const bool worked = !running_.empty();
  running_.clear();
  return worked;
}

void AsioLoop::sleep() {
  wait_for_sockets();
  wait_for_timer();
  if (!inbox_.may_sleep()) return;
  context_.run_one();
  inbox_.woke();
}

void AsioLoop::wait_for_sockets() {
  if (std::exchange(waits_for_sockets_, true)) return;
  nested_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code&) { waits_for_sockets_ = false; });
}

// The timer may wait for a moment that a cancelled timer of ours had asked for: one needless turn,
// but cancelling and moving timers, as connections do all the time, then cost nothing here.
void AsioLoop::wait_for_timer() {
  const auto next = timers_.next();
  if (!next || *next >= timer_at_) return;
  timer_at_ = *next;
  timer_.expires_at(timer_at_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) timer_at_ = TimePoint::max();
  });
}

void AsioLoop::on_terminate_signal(Task handler) {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  signals_.async_wait(
      [this, run = std::move(handler)](const boost::system::error_code& error, int) mutable {
        if (error) return;
        signals_.clear();
        post(std::move(run));
      });
}

void AsioLoop::on_hangup_signal(Task handler) {
  on_hangup_ = std::move(handler);
  hangups_.add(SIGHUP);
  wait_for_hangup();
}

void AsioLoop::wait_for_hangup() {
  hangups_.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    post([this] { on_hangup_(); });
    wait_for_hangup();
  });
}

Result<Endpoint> AsioLoop::listen(const Endpoint& endpoint, AcceptHandler& handler) {
  SLUICE_TRY_ASSIGN(auto socket, ListeningSocket::open(endpoint));
  auto bound = socket.endpoint();
  listeners_.push_back(std::make_unique<Listener>(*this, poll_set_, std::move(socket), handler));
  return bound;
}

void AsioLoop::unlisten(AcceptHandler& handler) {
  const auto gone = std::ranges::partition(
      listeners_, [&](const auto& listener) { return &listener->handler() != &handler; });
  for (auto& listener : gone) {
    listener->close();
    closed_listeners_.push_back(std::move(listener));
  }
  listeners_.erase(gone.begin(), gone.end());
}

}  // namespace

std::unique_ptr<RealLoop> RealLoop::create() { return std::make_unique<AsioLoop>(); }

void on_terminate_signal(RealLoop& loop, Task handler) {
  static_cast<AsioLoop&>(loop).on_terminate_signal(std::move(handler));
}

void on_hangup_signal(RealLoop& loop, Task handler) {
  static_cast<AsioLoop&>(loop).on_hangup_signal(std::move(handler));
}

}  // namespace sluice::runtime
