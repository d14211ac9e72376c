#include "sim/world.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace sluice::sim {

using runtime::Endpoint;

namespace {

// Noon of some day in 2023, so that wall time and loop time cannot be mistaken for each other.
constexpr WallMs wall_start = 1'700'000'000'000;

}  // namespace

SimWorld::SimWorld(std::uint64_t seed, std::size_t loops) : SimWorld(seed, loops, Options{}) {}

SimWorld::SimWorld(std::uint64_t seed, std::size_t loops, Options options)
    : options_(options), events_(seed) {
  for (std::size_t i = 0; i < loops; ++i) loops_.push_back(std::make_unique<SimLoop>(*this));
}

SimWorld::~SimWorld() = default;

bool SimWorld::run_until(std::move_only_function<bool()> done, Duration limit) {
  const auto end = now() + limit;
  while (!done()) {
    if (now() > end || (!step_or_power_off() && !jump(end))) return false;
  }
  return true;
}

void SimWorld::run_for(Duration duration) {
  const auto end = now() + duration;
  while (now() <= end && (step_or_power_off() || jump(end))) {
  }
  events_.advance_to(end);
}

void SimWorld::run_until_idle() {
  while (step_or_power_off() || (events_.next() && !off_ && jump(*events_.next()))) {
  }
}

bool SimWorld::step_or_power_off() {
  if (off_) return false;
  try {
    return step();
  } catch (...) {
    off_ = true;
    throw;
  }
}

// Runs one event or one turn of a loop that has work; false when there is none at this moment.
bool SimWorld::step() {
  std::vector<SimLoop*> ready;
  for (const auto& loop : loops_) {
    if (loop->has_work()) ready.push_back(loop.get());
  }
  const auto choices = ready.size() + (events_.due() ? 1 : 0);
  if (choices == 0) return false;
  const auto choice = random().below(choices);
  if (choice == ready.size()) {
    events_.run_one();
  } else {
    events_.advance_to(now() + events_.random_delay(options_.turn_max));
    ready[choice]->run_turn();
  }
  return true;
}

// Moves the clock to the next timer or event up to `limit`; false when there is none.
bool SimWorld::jump(TimePoint limit) {
  if (off_) return false;
  auto next = events_.next();
  for (const auto& loop : loops_) {
    const auto timer = loop->timers_.next();
    if (timer && (!next || *timer < *next)) next = timer;
  }
  if (!next || *next > limit) return false;
  events_.advance_to(*next);
  return true;
}

std::vector<const SimWorld::Listener*> SimWorld::listeners_at(const Endpoint& endpoint) const {
  std::vector<const Listener*> found;
  for (const auto& listener : listeners_) {
    if (listener.endpoint == endpoint) found.push_back(&listener);
  }
  return found;
}

Result<std::unique_ptr<SimClient>> SimWorld::connect(const Endpoint& endpoint) {
  if (listeners_at(endpoint).empty())
    return fail(Errc::io, "{}: connection refused", to_string(endpoint));
  const Endpoint client{endpoint.address, next_port_++};
  auto connection = std::make_shared<Connection>(events_, options_.network, client, endpoint);
  events_.plan(events_.random_delay(options_.network.delay_max),
               [this, connection] { arrive(connection); });
  return std::make_unique<SimClient>(std::move(connection));
}

void SimWorld::arrive(const std::shared_ptr<Connection>& connection) {
  const auto listeners = listeners_at(connection->endpoint(Side::server));
  if (listeners.empty()) return connection->reset();
  const auto& listener = *listeners[random().below(listeners.size())];
  listener.loop->arrivals_.push_back({connection, listener.handler});
}

// One job at a time, each a step of the world at a later moment; its `done` follows as a post to
// the loop.
class SimWorker : public runtime::Worker {
 public:
  SimWorker(SimWorld& world, SimLoop& loop) : queue_(std::make_shared<Queue>(world, loop)) {}

  // As the real one: what was submitted still runs, unless the machine is off or crashes at it.
  ~SimWorker() override {
    try {
      while (!queue_->world.is_off() && !queue_->jobs.empty()) run_next(*queue_);
    } catch (...) {
      queue_->world.power_off();
    }
    queue_->jobs.clear();
  }

  void submit(Task job, Task done) override {
    queue_->jobs.push_back({std::move(job), std::move(done)});
    if (queue_->jobs.size() == 1) plan(queue_);
  }

 private:
  struct Work {
    Task job;
    Task done;
  };
  struct Queue {
    Queue(SimWorld& world_in, SimLoop& loop_in) : world(world_in), loop(loop_in) {}
    SimWorld& world;
    SimLoop& loop;
    std::vector<Work> jobs;  // the first is under way
  };

  static Duration latency(Queue& queue) {
    return queue.world.events_.random_delay(queue.world.options().worker_latency_max);
  }

  static void plan(const std::shared_ptr<Queue>& queue) {
    queue->world.events_.plan(latency(*queue), [queue] {
      if (queue->jobs.empty()) return;
      run_next(*queue);
      if (!queue->jobs.empty()) plan(queue);
    });
  }

  static void run_next(Queue& queue) {
    auto job = std::move(queue.jobs.front().job);
    job();
    queue.loop.post_from_outside(std::move(queue.jobs.front().done));
    queue.jobs.erase(queue.jobs.begin());
  }

  std::shared_ptr<Queue> queue_;
};

TimePoint SimLoop::now() const { return world_.now(); }

WallMs SimLoop::wall_ms() const {
  const auto since_start = now().time_since_epoch() + world_.wall_step_;
  return wall_start + std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count();
}

Result<Endpoint> SimLoop::listen(const Endpoint& endpoint, runtime::AcceptHandler& handler) {
  auto bound = endpoint;
  if (bound.port == 0) bound.port = world_.next_port_++;
  world_.listeners_.push_back({bound, this, &handler});
  return bound;
}

void SimLoop::unlisten(runtime::AcceptHandler& handler) {
  std::erase_if(world_.listeners_, [&](const SimWorld::Listener& l) {
    return l.loop == this && l.handler == &handler;
  });
  std::erase_if(arrivals_, [&](const Arrival& arrival) {
    if (arrival.handler != &handler) return false;
    arrival.connection->reset();
    return true;
  });
}

void SimLoop::attach(runtime::Socket socket, runtime::SocketHandler& handler) {
  slot(socket).handler = &handler;
  slot(socket).interest = {};
}

void SimLoop::watch(runtime::Socket socket, runtime::Interest interest) {
  slot(socket).interest = interest;
}

void SimLoop::close(runtime::Socket socket) {
  connection(socket).close(Side::server);
  slot(socket) = {};
}

runtime::Transfer SimLoop::receive(runtime::Socket socket, MutableBytes into) {
  return connection(socket).receive(Side::server, into);
}

runtime::Transfer SimLoop::send(runtime::Socket socket, std::span<const Bytes> pieces) {
  runtime::Transfer total;
  for (const auto piece : pieces) {
    const auto sent = connection(socket).send(Side::server, piece);
    if (sent.state != runtime::Transfer::State::ok) return total.bytes > 0 ? total : sent;
    total.bytes += sent.bytes;
    if (sent.bytes < piece.size()) break;
  }
  return total;
}

Endpoint SimLoop::local_endpoint(runtime::Socket socket) const {
  return connection(socket).endpoint(Side::server);
}

Endpoint SimLoop::peer_endpoint(runtime::Socket socket) const {
  return connection(socket).endpoint(Side::client);
}

std::unique_ptr<runtime::Worker> SimLoop::make_worker(std::string_view) {
  return std::make_unique<SimWorker>(world_, *this);
}

bool SimLoop::has_work() const {
  const auto timer = timers_.next();
  return !posted_.empty() || !arrivals_.empty() || (timer && *timer <= now()) ||
         std::ranges::any_of(slots_, is_ready);
}

bool SimLoop::is_ready(const Slot& slot) {
  if (!slot.connection || slot.handler == nullptr) return false;
  return (slot.interest.read && slot.connection->readable(Side::server)) ||
         (slot.interest.write && slot.connection->writable(Side::server));
}

void SimLoop::run_turn() {
  hooks_.begin();
  serve_sockets();
  accept_arrivals();
  timers_.run_due(now());
  for (auto& task : std::exchange(posted_, {})) task();
  hooks_.run();
}

void SimLoop::accept_arrivals() {
  while (!arrivals_.empty()) {
    const auto arrival = std::move(arrivals_.front());
    arrivals_.erase(arrivals_.begin());
    arrival.handler->on_accept(open_socket(arrival.connection));
  }
}

runtime::Socket SimLoop::open_socket(std::shared_ptr<Connection> connection) {
  auto free =
      std::ranges::find_if(slots_, [](const Slot& slot) { return slot.connection == nullptr; });
  if (free == slots_.end()) free = slots_.emplace(slots_.end());
  free->connection = std::move(connection);
  return {static_cast<int>(free - slots_.begin())};
}

// All that are ready now, from a random one on.
void SimLoop::serve_sockets() {
  struct Ready {
    std::size_t number;
    std::shared_ptr<Connection> connection;
  };
  std::vector<Ready> ready;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (is_ready(slots_[i])) ready.push_back({i, slots_[i].connection});
  }
  if (ready.empty()) return;
  std::ranges::rotate(
      ready, ready.begin() + static_cast<std::ptrdiff_t>(world_.random().below(ready.size())));
  for (const auto& [number, connection] : ready) serve(number, *connection);
}

// The number may have been closed, and taken by another connection, since it was found ready.
void SimLoop::serve(std::size_t number, const Connection& connection) {
  const auto still = [&] {
    return slots_[number].connection.get() == &connection && slots_[number].handler != nullptr;
  };
  if (still() && slots_[number].interest.read && connection.readable(Side::server))
    slots_[number].handler->on_readable();
  if (still() && slots_[number].interest.write && connection.writable(Side::server))
    slots_[number].handler->on_writable();
}

Connection& SimLoop::connection(runtime::Socket socket) const {
  const auto& found = slots_.at(static_cast<std::size_t>(socket.value)).connection;
  SLUICE_ASSERT(found != nullptr);
  return *found;
}

SimLoop::Slot& SimLoop::slot(runtime::Socket socket) {
  return slots_.at(static_cast<std::size_t>(socket.value));
}

}  // namespace sluice::sim
