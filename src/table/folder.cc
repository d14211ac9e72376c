#include "table/folder.h"

#include <utility>

#include "base/logger.h"

namespace sluice::table {
namespace {

constexpr Logger logger("table");
constexpr std::size_t read_size = 1 << 20;
constexpr std::size_t unstored_max = 4 << 20;  // reading waits for the store
constexpr auto busy_delay = std::chrono::milliseconds(10);
constexpr std::size_t expanded_max = 64 << 20;

}  // namespace

Folder::Folder(runtime::Loop& loop, stream::Stream& stream, StoreWriter& writer, std::string table)
    : loop_(loop), stream_(stream), writer_(writer), table_(std::move(table)) {}

// Callbacks of the stream may come when the table is gone.
template <class F>
auto Folder::guarded(F f) {
  return [f = std::move(f), alive = std::weak_ptr<char>(alive_)](auto... arguments) mutable {
    if (!alive.expired()) f(std::move(arguments)...);
  };
}

void Folder::run(stream::StreamInfo stream, std::vector<Part> parts, stream::CommitSink& sink,
                 Done<void> done) {
  info_ = std::move(stream);
  parts_ = std::move(parts);
  sink_ = &sink;
  done_ = std::move(done);
  next_slot();
}

void Folder::next_slot() {
  if (parts_.empty()) return writer_.on_idle(guarded([this] { std::exchange(done_, {})({}); }));
  stream_.fold(partition(), *sink_, guarded([this](Result<Offset> end) {
                 if (!end) return fail(end.error());
                 stream_.bounds(partition(),
                                guarded([this, end = *end](Result<stream::Bounds> bounds) {
                                  if (!bounds) return fail(bounds.error());
                                  begin(bounds->start, end);
                                }));
               }));
}

void Folder::begin(Offset start, Offset end) {
  const auto& kept = parts_.back().kept;
  end_ = end;
  next_ = start;
  const bool usable = kept.fold && kept.fold->stream == info_.id && kept.fold->next >= start &&
                      kept.fold->next <= end;
  if (usable) {
    next_ = kept.fold->next;
  } else if (kept.fold || !kept.empty) {
    logger.warn("rows of a table don't fit its stream; they are made again from it",
                {{"table", table_}, {"slot", parts_.back().slot}});
    writer_.add(
        {.partition = partition(), .from = start, .until = start, .block = nullptr, .clear = true});
  }
  stream_.hold(partition(), next_);
  read();
}

void Folder::read() {
  if (next_ >= end_) {
    parts_.pop_back();
    return next_slot();
  }
  if (writer_.unstored_bytes() > unstored_max) {
    return writer_.on_idle(guarded([this] { read(); }));
  }
  stream_.read(partition(), next_, read_size, stream::Want::records,
               guarded([this](Result<stream::ReadAnswer> answer) {
                 if (answer) return take(*answer);
                 if (answer.error().code != Errc::busy) return fail(answer.error());
                 loop_.run_after(busy_delay, guarded([this] { read(); }));
               }));
}

void Folder::take(const stream::ReadAnswer& answer) {
  for (const auto& block : answer.blocks) {
    writer_.add({.partition = partition(), .from = next_, .until = block->until(), .block = block});
  }
  if (answer.next <= next_) return fail({Errc::corrupt, "the log ends before its visible end"});
  if (answer.blocks.empty() || answer.blocks.back()->until() < answer.next)
    writer_.add({.partition = partition(), .from = next_, .until = answer.next, .block = nullptr});
  next_ = answer.next;
  read();
}

void Folder::fail(const Error& error) {
  std::exchange(done_, {})(std::unexpected(error.context(
      fmt::format("table {}, slot {}", table_, parts_.empty() ? 0 : parts_.back().slot))));
}

}  // namespace sluice::table
