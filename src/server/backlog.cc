#include "server/backlog.h"

#include <cstddef>
#include <memory>
#include <utility>

namespace sluice::server {

namespace {

constexpr std::size_t asked_at_once = 16;

struct Asking {
  runtime::Loop& loop;
  stream::Stream& stream;
  std::vector<Backlog> all;
  std::move_only_function<void(std::vector<Backlog>)> done;
  std::size_t next = 0;
  std::size_t askers = asked_at_once;  // each asks for one after another
};

void ask_next(const std::shared_ptr<Asking>& asking) {
  if (asking->next == asking->all.size()) {
    if (--asking->askers == 0) asking->done(std::exchange(asking->all, {}));
    return;
  }
  Backlog& backlog = asking->all[asking->next++];
  asking->stream.bounds(backlog.next.partition,
                        [asking, &backlog](const Result<stream::Bounds>& bounds) {
                          if (bounds) backlog.bounds = *bounds;
                          // By way of the loop, for many may answer at once.
                          asking->loop.post([asking] { ask_next(asking); });
                        });
}

}  // namespace

JsonObject backlog_json(std::string_view stream, const Backlog& backlog) {
  JsonObject out;
  out.add("stream", stream)
      .add("partition", backlog.next.partition.index)
      .add("next", backlog.next.offset.value);
  if (backlog.bounds)
    out.add("end", backlog.bounds->visible_end.value)
        .add("records", backlog.records())
        .add("lost_to_retention", backlog.lost());
  return out;
}

void find_backlogs(runtime::Loop& loop, stream::Stream& stream,
                   const std::vector<Position>& positions,
                   std::move_only_function<void(std::vector<Backlog>)> done) {
  std::vector<Backlog> all;
  all.reserve(positions.size());
  for (const Position& next : positions) all.push_back({.next = next});
  const auto asking =
      std::make_shared<Asking>(Asking{loop, stream, std::move(all), std::move(done)});
  for (std::size_t i = 0; i < asked_at_once; ++i) ask_next(asking);
}

}  // namespace sluice::server
