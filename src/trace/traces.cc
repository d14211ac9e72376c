#include "trace/traces.h"

#include <utility>

#include "runtime/ask.h"

namespace sluice::trace {

namespace {
constexpr ShardId home{0};
}

Tracer& Traces::add(runtime::Loop& loop) {
  const ShardId shard{static_cast<std::uint32_t>(tracers_.size())};
  auto send = [this, shard](TraceId id, std::string lines, Task taken) {
    runtime::ask(
        mailboxes_, shard, home,
        [this, id, lines = std::move(lines)](Task reply) mutable {
          on_lines(id, std::move(lines), std::move(reply));
        },
        std::move(taken));
  };
  tracers_.push_back(std::make_unique<Tracer>(loop, shard, std::move(send)));
  return *tracers_.back();
}

Result<TraceId> Traces::start(const Query& query, Sink sink, Task started) {
  if (traces_.size() >= Tracer::traces_max)
    return fail(Errc::busy, "{} traces are on already", traces_.size());
  const TraceId id = ++last_id_;
  traces_.emplace(id, Trace{std::move(sink), std::move(started)});
  const auto start = [](Tracer& tracer, TraceId trace, const Query& what) {
    tracer.start(trace, what);
  };
  ask_all(id, start, query, &Traces::on_started);
  return id;
}

// One that is still being started is ended when that is done: requests may overtake each other.
void Traces::stop(TraceId id) {
  const auto trace = traces_.find(id);
  if (trace == traces_.end() || !trace->second.sink) return;
  trace->second.sink = nullptr;
  if (trace->second.asked == 0) end(id);
}

void Traces::on_started(TraceId id) {
  Trace& trace = traces_.at(id);
  if (!trace.sink) return end(id);
  std::exchange(trace.started, nullptr)();  // which may stop it
}

void Traces::end(TraceId id) {
  const auto stop = [](Tracer& tracer, TraceId trace, const Query&) { tracer.stop(trace); };
  ask_all(id, stop, {}, &Traces::forget);
}

void Traces::ask_all(TraceId id, void (*request)(Tracer&, TraceId, const Query&),
                     const Query& query, void (Traces::*answered)(TraceId)) {
  traces_.at(id).asked = tracers_.size();
  for (std::uint32_t i = 0; i < tracers_.size(); ++i)
    runtime::ask(
        mailboxes_, home, ShardId{i},
        [&tracer = *tracers_[i], id, query, request](Task reply) {
          request(tracer, id, query);
          reply();
        },
        [this, id, answered] {
          if (--traces_.at(id).asked == 0) (this->*answered)(id);
        });
}

void Traces::on_lines(TraceId id, std::string lines, Task taken) {
  const auto trace = traces_.find(id);
  if (trace == traces_.end() || !trace->second.sink) return taken();
  trace->second.sink(std::move(lines), std::move(taken));
}

}  // namespace sluice::trace
