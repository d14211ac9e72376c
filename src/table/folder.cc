#include "table/folder.h"

#include <algorithm>
#include <utility>

#include "base/logger.h"

namespace sluice::table {
namespace {

constexpr Logger logger("table");
constexpr std::size_t read_size = 1 << 20;
constexpr std::size_t unstored_max = 4 << 20;  // reading waits for the store
constexpr auto busy_delay = std::chrono::milliseconds(10);

// Whether offsets from `next` on are missing in what was read.
bool has_holes(const stream::ReadAnswer& answer, Offset next) {
  for (const auto& block : answer.blocks) {
    if (block->from() > next || block->until() - block->from() != std::ssize(block->records()))
      return true;
    next = block->until();
  }
  return answer.next > next;
}

}  // namespace

Folder::Folder(runtime::Loop& loop, stream::Stream& stream, StoreWriter& writer, std::string table,
               Metrics& metrics)
    : loop_(loop),
      stream_(stream),
      writer_(writer),
      table_(std::move(table)),
      refolds_(metrics.counter("sluice_table_refolds_total",
                               "Slots whose rows were thrown away and folded again",
                               fmt::format("table=\"{}\"", table_))) {}

template <class Again>
void Folder::fail(std::uint32_t slot, const Error& error, Again again) {
  if (error.code == Errc::busy) {
    loop_.run_after(busy_delay, guard_(std::move(again)));
    return;
  }
  std::exchange(done_,
                {})(std::unexpected(error.context(fmt::format("table {}, slot {}", table_, slot))));
}

void Folder::run(stream::StreamInfo stream, std::vector<Part> parts, stream::CommitSink& sink,
                 Done<void> done) {
  info_ = std::move(stream);
  sink_ = &sink;
  done_ = std::move(done);
  work_.clear();
  for (const Part& part : parts) work_.push_back({part, {}, {}});
  not_known_ = work_.size();
  if (work_.empty()) return next_slot();
  // An answer may come within the call, and the last one may end all.
  for (std::size_t at = 0; at < parts.size(); ++at) fold(at);
}

void Folder::fold(std::size_t at) {
  if (!done_) return;
  stream_.fold(partition(work_[at]), *sink_, guard_([this, at](Result<Offset> end) {
                 if (!done_) return;
                 Work& work = work_[at];
                 if (!end) return fail(work.part.slot, end.error(), [this, at] { fold(at); });
                 work.end = *end;
                 look_up(at);
               }));
}

void Folder::look_up(std::size_t at) {
  if (!done_) return;
  stream_.bounds(partition(work_[at]), guard_([this, at](Result<stream::Bounds> bounds) {
                   if (!done_) return;
                   Work& work = work_[at];
                   if (!bounds)
                     return fail(work.part.slot, bounds.error(), [this, at] { look_up(at); });
                   work.start = bounds->start;
                   if (--not_known_ == 0) next_slot();
                 }));
}

void Folder::next_slot() {
  if (work_.empty()) return writer_.on_idle(guard_([this] { finish(); }));
  begin();
}

void Folder::finish() {
  if (refolded_ > 0) {
    logger.warn("rows of a table did not fit its stream and were made again from it",
                {{"table", table_}, {"slots", refolded_}});
  }
  std::exchange(done_, {})({});
}

void Folder::begin() {
  const auto& [part, start, end] = work_.back();
  const auto& kept = part.kept;
  continues_ = kept.fold && kept.fold->stream == info_.id && kept.fold->next >= start &&
               kept.fold->next <= end;
  if (!continues_ && (kept.fold || !kept.empty)) return begin_anew();
  next_ = continues_ ? kept.fold->next : start;
  stream_.hold(partition(), next_);
  read();
}

void Folder::begin_anew() {
  refolds_.add();
  ++refolded_;
  continues_ = false;
  next_ = work_.back().start;
  writer_.add({.partition = partition(), .until = next_, .block = nullptr, .clear = true});
  stream_.hold(partition(), next_);
  read();
}

void Folder::read() {
  if (next_ >= work_.back().end) {
    work_.pop_back();
    return next_slot();
  }
  if (writer_.unstored_bytes() > unstored_max) return writer_.on_idle(guard_([this] { read(); }));
  stream_.read(partition(), next_, read_size, stream::Want::records,
               guard_([this](Result<stream::ReadAnswer> answer) {
                 if (!answer)
                   return fail(work_.back().part.slot, answer.error(), [this] { read(); });
                 take(*answer);
               }));
}

void Folder::take(const stream::ReadAnswer& answer) {
  if (answer.next <= next_)
    return fail(work_.back().part.slot, {Errc::corrupt, "the log ends before its visible end"},
                [] {});
  if (may_lack_tombstones(answer)) return begin_anew();
  for (const auto& block : answer.blocks) {
    writer_.add({.partition = partition(), .until = block->until(), .block = block});
  }
  // Holes at the end are folded, too.
  if (answer.blocks.empty() || answer.blocks.back()->until() < answer.next) {
    writer_.add({.partition = partition(), .until = answer.next, .block = nullptr});
  }
  next_ = answer.next;
  read();
}

// Compaction takes a tombstone away when it is older than delete.retention.ms; the row that it
// removes would stay in the store for ever. Half the time, since clocks differ.
bool Folder::may_lack_tombstones(const stream::ReadAnswer& answer) const {
  if (!continues_) return false;
  const auto age = loop_.wall_ms() - work_.back().part.kept.fold->folded_at;
  return (age < 0 || age > info_.config.delete_retention_ms / 2) && has_holes(answer, next_);
}

}  // namespace sluice::table
