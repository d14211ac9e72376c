#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "runtime/mailbox.h"
#include "trace/tracer.h"

namespace sluice::trace {

// The traces of a hub: started and read on shard 0, fed by the Tracer of every shard.
//
// Bound: Tracer::traces_max at a time. Of one trace each shard has at most one portion of lines
// (Tracer::buffer_max) on its way: the next one leaves when the sink has taken it.
class Traces {
 public:
  // Gets whole lines, on shard 0; runs `taken` when it has room for more of that shard.
  using Sink = std::move_only_function<void(std::string lines, Task taken)>;

  // `mailboxes` outlives the traces.
  explicit Traces(runtime::Mailboxes& mailboxes) : mailboxes_(mailboxes) {}

  // In the order of the shards, before the loops run. The tracer is its loop's.
  Tracer& add(runtime::Loop& loop);

  // On shard 0. `started` runs when all shards tell what they see. Errc::busy: traces_max are on.
  Result<TraceId> start(const Query& query, Sink sink, Task started);
  // On shard 0, not from within the sink, which hears nothing more.
  void stop(TraceId id);

 private:
  struct Trace {
    Sink sink;  // none: stopped
    Task started;
    std::size_t asked = 0;  // shards that have not answered yet
  };

  void on_started(TraceId id);
  void end(TraceId id);
  // Asks every shard; `answered` runs when the last one has answered.
  void ask_all(TraceId id, void (*request)(Tracer&, TraceId, const Query&), const Query& query,
               void (Traces::*answered)(TraceId));
  void forget(TraceId id) { traces_.erase(id); }
  void on_lines(TraceId id, std::string lines, Task taken);

  runtime::Mailboxes& mailboxes_;
  std::vector<std::unique_ptr<Tracer>> tracers_;
  // Shard 0's:
  TraceId last_id_ = 0;
  std::map<TraceId, Trace> traces_;  // until all shards have stopped telling
};

}  // namespace sluice::trace
