#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/loop.h"
#include "runtime/timer_queue.h"
#include "runtime/turn_hooks.h"
#include "runtime/worker.h"
#include "sim/events.h"
#include "sim/network.h"

namespace sluice::sim {

class SimWorld;

// The loop of one simulated shard. See runtime::Loop.
class SimLoop : public runtime::Loop {
 public:
  explicit SimLoop(SimWorld& world) : world_(world) {}
  SimLoop(const SimLoop&) = delete;
  SimLoop& operator=(const SimLoop&) = delete;

  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] WallMs wall_ms() const override;
  void post(Task task) override { posted_.push_back(std::move(task)); }
  void post_from_outside(Task task) override { post(std::move(task)); }
  runtime::TimerId run_at(TimePoint when, Task task) override {
    return timers_.add(when, std::move(task));
  }
  void cancel(runtime::TimerId timer) override { timers_.cancel(timer); }
  void add_turn_hook(runtime::TurnHook& hook, runtime::TurnPhase phase) override {
    hooks_.add(hook, phase);
  }
  void remove_turn_hook(runtime::TurnHook& hook) override { hooks_.remove(hook); }
  void need_turn_end(runtime::TurnPhase phase) override {
    if (!hooks_.will_run(phase)) post([] {});
  }
  Result<runtime::Endpoint> listen(const runtime::Endpoint& endpoint,
                                   runtime::AcceptHandler& handler) override;
  void unlisten(runtime::AcceptHandler& handler) override;
  void attach(runtime::Socket socket, runtime::SocketHandler& handler) override;
  void watch(runtime::Socket socket, runtime::Interest interest) override;
  void close(runtime::Socket socket) override;
  runtime::Transfer receive(runtime::Socket socket, MutableBytes into) override;
  runtime::Transfer send(runtime::Socket socket, std::span<const Bytes> pieces) override;
  [[nodiscard]] runtime::Endpoint local_endpoint(runtime::Socket socket) const override;
  [[nodiscard]] runtime::Endpoint peer_endpoint(runtime::Socket socket) const override;
  std::unique_ptr<runtime::Worker> make_worker(std::string_view name) override;

 private:
  friend class SimWorld;

  struct Slot {
    std::shared_ptr<Connection> connection;  // null: the number is free
    runtime::SocketHandler* handler = nullptr;
    runtime::Interest interest;
  };
  struct Arrival {
    std::shared_ptr<Connection> connection;
    runtime::AcceptHandler* handler;
  };

  [[nodiscard]] bool has_work() const;
  [[nodiscard]] static bool is_ready(const Slot& slot);
  void run_turn();
  void accept_arrivals();
  void serve_sockets();
  void serve(std::size_t number, const Connection& connection);
  runtime::Socket open_socket(std::shared_ptr<Connection> connection);
  [[nodiscard]] Connection& connection(runtime::Socket socket) const;
  [[nodiscard]] Slot& slot(runtime::Socket socket);

  SimWorld& world_;
  std::vector<Slot> slots_;  // by socket number; the lowest free one is taken, as a kernel does
  std::vector<Arrival> arrivals_;
  std::vector<Task> posted_;
  runtime::TimerQueue timers_;
  runtime::TurnHooks hooks_;
};

// Several shards, a network and helpers in one thread. The seed decides which loop's next turn
// runs, how long helpers take, and what the network does; when nobody has work the virtual clock
// jumps to the next timer or event. A turn takes a little virtual time, so nobody can stop the
// clock.
//
// An exception of a handler or job (sim::Crashed) leaves run_...() and powers the world off.
class SimWorld {
 public:
  struct Options {
    NetworkFaults network;
    Duration worker_latency_max = std::chrono::milliseconds(1);
    Duration turn_max = std::chrono::microseconds(20);
  };

  SimWorld(std::uint64_t seed, std::size_t loops);
  SimWorld(std::uint64_t seed, std::size_t loops, Options options);
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  [[nodiscard]] SimLoop& loop(std::size_t number) { return *loops_.at(number); }
  [[nodiscard]] std::size_t loops() const { return loops_.size(); }
  [[nodiscard]] TimePoint now() const { return events_.now(); }
  Random& random() { return events_.random(); }
  // Applies to connections and jobs from now on.
  Options& options() { return options_; }

  // True as soon as `done` says so (asked before each step); false when nothing is left to run or
  // `limit` has passed.
  bool run_until(std::move_only_function<bool()> done, Duration limit = std::chrono::hours(1));
  // Runs all work of the next `duration`; then that much time has passed.
  void run_for(Duration duration);
  // Until nobody has work and nothing is on its way; timers of later are left alone.
  void run_until_idle();

  // Somebody sets the wall clock of the machine: wall_ms() of all loops jumps, their now() goes on.
  void step_wall_clock(Duration by) { wall_step_ += by; }

  // A client's connection; errors when nobody listens there. The client must not outlive the world.
  Result<std::unique_ptr<SimClient>> connect(const runtime::Endpoint& endpoint);

  // The machine or process stops: nothing runs any more, jobs of workers are dropped. Then destroy
  // what ran on it.
  void power_off() { off_ = true; }
  [[nodiscard]] bool is_off() const { return off_; }

 private:
  friend class SimLoop;
  friend class SimWorker;

  struct Listener {
    runtime::Endpoint endpoint;
    SimLoop* loop;
    runtime::AcceptHandler* handler;
  };

  bool step();
  bool step_or_power_off();
  bool jump(TimePoint limit);
  void arrive(const std::shared_ptr<Connection>& connection);
  std::vector<const Listener*> listeners_at(const runtime::Endpoint& endpoint) const;

  Options options_;
  Events events_;
  Duration wall_step_{};
  std::vector<std::unique_ptr<SimLoop>> loops_;
  std::vector<Listener> listeners_;
  std::uint16_t next_port_ = 40000;
  bool off_ = false;
};

}  // namespace sluice::sim
