#include "runtime/real_loop.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
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

using std::chrono::steady_clock;
using std::chrono::system_clock;

// An eventfd in the poll set: makes a sleeping loop turn.
class Alarm final : public SocketHandler {
 public:
  explicit Alarm(
      PollSet& poll_set, Task on_ring = [] {})
      : poll_set_(poll_set),
        fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        on_ring_(std::move(on_ring)) {
    SLUICE_ASSERT(fd_.valid());
    poll_set_.add(fd_.get(), *this);
  }
  ~Alarm() { poll_set_.remove(fd_.get()); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }
  void ring() { ::eventfd_write(fd_.get(), 1); }
  void on_readable() override {
    eventfd_t count = 0;
    ::eventfd_read(fd_.get(), &count);
    poll_set_.drained(fd_.get());
    on_ring_();
  }
  void on_writable() override {}

 private:
  PollSet& poll_set_;
  FileDescriptor fd_;
  Task on_ring_;
};

// The eventfds that signals write to, of those that are watched.
constinit std::array<std::atomic<int>, NSIG> signal_alarms{};

// Async-signal-safe.
void ring_for_signal(int number) {
  const int saved = errno;
  ::eventfd_write(signal_alarms[static_cast<std::size_t>(number)].load(), 1);
  errno = saved;
}

// Some signals of the process become calls on the loop. One object at a time for a signal.
class SignalWatch {
 public:
  SignalWatch(PollSet& poll_set, std::vector<int> signals, Task on_signal)
      : signals_(std::move(signals)), alarm_(poll_set, std::move(on_signal)) {
    for (const int number : signals_) {
      signal_alarms[static_cast<std::size_t>(number)].store(alarm_.fd());
      struct sigaction action{};
      action.sa_handler = ring_for_signal;
      action.sa_flags = SA_RESTART;
      SLUICE_ASSERT(::sigaction(number, &action, nullptr) == 0);
    }
  }
  ~SignalWatch() { stop(); }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // From now on the signals do what they do by default.
  void stop() {
    for (const int number : std::exchange(signals_, {})) std::signal(number, SIG_DFL);
  }

 private:
  std::vector<int> signals_;
  Alarm alarm_;
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

class EpollLoop final : public RealLoop {
 public:
  EpollLoop() { read_clocks(); }

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
    const auto transfer = receive_some(socket.value, into);
    if (transfer.bytes < into.size()) poll_set_.drained(socket.value);
    return transfer;
  }
  Transfer send(Socket socket, std::span<const Bytes> pieces) override {
    const auto transfer = send_some(socket.value, pieces);
    if (transfer.state == Transfer::State::would_block) poll_set_.filled(socket.value);
    return transfer;
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
  void wait();
  [[nodiscard]] std::optional<Duration> until_next_timer() const;
  void read_clocks();
  void turn();
  bool run_posted();

  PollSet poll_set_;
  TimePoint now_;
  Duration wall_offset_{};
  Inbox inbox_{poll_set_};
  std::vector<Task> posted_;
  std::vector<Task> running_;  // capacity kept from turn to turn
  TimerQueue timers_;
  TurnHooks hooks_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Listener>> closed_listeners_;  // may be in a call until the turn ends
  std::optional<SignalWatch> terminate_;
  std::optional<SignalWatch> hangup_;
  std::atomic<bool> stopping_{false};
};

void EpollLoop::run() {
  while (!stopping_.load()) {
    wait();
    read_clocks();
    turn();
  }
  stopping_.store(false);
}

void EpollLoop::stop() {
  stopping_.store(true);
  post_from_outside([] {});
}

// Until there is something to do. One system call, whether the loop sleeps or not.
void EpollLoop::wait() {
  if (poll_set_.has_due() || !posted_.empty() || !inbox_.may_sleep())
    return poll_set_.wait(Duration::zero());
  poll_set_.wait(until_next_timer());
  inbox_.woke();
}

std::optional<Duration> EpollLoop::until_next_timer() const {
  const auto next = timers_.next();
  if (!next) return std::nullopt;
  return std::max(Duration::zero(), *next - steady_clock::now());
}

void EpollLoop::read_clocks() {
  now_ = steady_clock::now();
  wall_offset_ = system_clock::now().time_since_epoch() - now_.time_since_epoch();
}

void EpollLoop::turn() {
  hooks_.begin();
  bool worked = poll_set_.serve() > 0;
  if (const auto timer = timers_.next(); timer && *timer <= now_) {
    timers_.run_due(now_);
    worked = true;
  }
  worked |= run_posted();
  if (!worked) return hooks_.skip();
  hooks_.run();
  closed_listeners_.clear();
}

// What these tasks post waits for the next turn.
bool EpollLoop::run_posted() {
  running_.swap(posted_);
  inbox_.take(running_);
  for (auto& task : running_) task();
  const bool worked = !running_.empty();
  running_.clear();
  return worked;
}

void EpollLoop::on_terminate_signal(Task handler) {
  auto once = [this, run = std::move(handler)]() mutable {
    terminate_->stop();
    if (run) std::exchange(run, nullptr)();
  };
  terminate_.emplace(poll_set_, std::vector{SIGTERM, SIGINT}, std::move(once));
}

void EpollLoop::on_hangup_signal(Task handler) {
  hangup_.emplace(poll_set_, std::vector{SIGHUP}, std::move(handler));
}

Result<Endpoint> EpollLoop::listen(const Endpoint& endpoint, AcceptHandler& handler) {
  SLUICE_TRY_ASSIGN(auto socket, ListeningSocket::open(endpoint));
  auto bound = socket.endpoint();
  listeners_.push_back(std::make_unique<Listener>(*this, poll_set_, std::move(socket), handler));
  return bound;
}

void EpollLoop::unlisten(AcceptHandler& handler) {
  const auto gone = std::ranges::partition(
      listeners_, [&](const auto& listener) { return &listener->handler() != &handler; });
  for (auto& listener : gone) {
    listener->close();
    closed_listeners_.push_back(std::move(listener));
  }
  listeners_.erase(gone.begin(), gone.end());
}

}  // namespace

std::unique_ptr<RealLoop> RealLoop::create() { return std::make_unique<EpollLoop>(); }

void on_terminate_signal(RealLoop& loop, Task handler) {
  static_cast<EpollLoop&>(loop).on_terminate_signal(std::move(handler));
}

void on_hangup_signal(RealLoop& loop, Task handler) {
  static_cast<EpollLoop&>(loop).on_hangup_signal(std::move(handler));
}

}  // namespace sluice::runtime
