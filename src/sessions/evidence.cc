#include "sessions/evidence.h"

#include <utility>

#include "base/logger.h"
#include "sessions/rows.h"

namespace sluice::sessions {
namespace {

constexpr Logger logger("sessions");

constexpr std::uint32_t mark_slot = 0;
constexpr std::size_t asked_max = 16;  // bounds may be a cluster's to tell
constexpr runtime::Duration retry_delay = std::chrono::milliseconds(100);

}  // namespace

Evidence::Evidence(const Place& place, Metrics& metrics)
    : place_(place), scan_(*place.loop, *place.stream, metrics) {}

// --- positions

void Evidence::load(Done<void> done) {
  load_slot(place_.shard.value, evidence_keys().from, std::move(done));
}

// The slots of this shard one after another, each in portions.
void Evidence::load_slot(std::uint32_t slot, std::string from, Done<void> done) {
  if (slot >= slot_count) return done({});
  place_.table->scan(slot, {.from = std::move(from), .until = evidence_keys().until},
                     [this, slot, done = std::move(done)](Result<table::Portion> portion) mutable {
                       if (!portion) return done(std::unexpected(std::move(portion.error())));
                       for (const table::Row& row : portion->rows) load_row(slot, row);
                       if (portion->next)
                         return load_slot(slot, std::move(*portion->next), std::move(done));
                       // By way of the loop, for slots may be many and answer at once.
                       place_.loop->post([this, slot, done = std::move(done)]() mutable {
                         load_slot(slot + place_.shards, evidence_keys().from, std::move(done));
                       });
                     });
}

void Evidence::load_row(std::uint32_t slot, const table::Row& row) {
  if (row.key == evidence_keys().from) {
    marked_ = true;
    return;
  }
  const auto partition = partition_in_evidence_key(row.key);
  const auto next = decode_evidence_position(row.value);
  if (!partition || !next) {
    logger.warn("a position of evidence can't be read; its partition is searched from its start",
                {{"slot", slot}});
  } else if (place_.stream->catalogue().find(partition->stream) == nullptr) {
    place_.table->put_behind(slot, row.key, std::nullopt);  // its stream was removed
  } else {
    positions_.emplace(*partition, *next);
  }
}

void Evidence::begin_at_ends(Done<void> done) {
  ask_bounds(
      true,
      [this](Partition partition, const stream::Bounds& bounds) {
        positions_[partition] = bounds.visible_end;
      },
      [this, done = std::move(done)]() mutable {
        if (positions_.empty()) return done({});
        const Together together(positions_.size(), std::move(done));
        for (const auto& [partition, next] : positions_)
          place_.table->put(slot_of(partition), evidence_key(partition),
                            encode_evidence_position(next), together.answer());
      });
}

void Evidence::mark(Done<void> done) {
  place_.table->put(mark_slot, evidence_keys().from, encode_evidence_position({}), std::move(done));
}

void Evidence::note_ends(Task done) {
  noted_.clear();
  ask_bounds(
      false,
      [this](Partition partition, const stream::Bounds& bounds) {
        const auto known = positions_.find(partition);
        if (known == positions_.end() || known->second < bounds.visible_end)
          noted_[partition] = bounds.visible_end;
      },
      std::move(done));
}

void Evidence::put_positions() {
  for (const auto& [partition, next] : std::exchange(noted_, {})) {
    positions_[partition] = next;
    place_.table->put_behind(slot_of(partition), evidence_key(partition),
                             encode_evidence_position(next));
  }
}

// --- searching

void Evidence::search(std::function<void(Seen)> done) {
  ask_bounds(
      true,
      [this](Partition partition, const stream::Bounds& bounds) {
        const auto position = positions_.find(partition);
        const Offset from = position == positions_.end() ? bounds.start : position->second;
        if (from < bounds.visible_end) scan_.add(partition, from, bounds.visible_end);
      },
      [this, done = std::move(done)]() mutable { scan_.run(std::move(done)); });
}

// --- partitions

std::vector<Partition> Evidence::partitions() const {
  std::vector<Partition> here;
  for (const auto& [name, stream] : place_.stream->catalogue().all()) {
    if (stream.config.internal) continue;
    for (std::uint32_t i = 0; i < stream.config.partitions; ++i)
      if (const Partition partition{stream.id, i}; place_.stream->home(partition) == place_.shard)
        here.push_back(partition);
  }
  return here;
}

struct Evidence::Walk {
  std::vector<Partition> partitions;
  bool insists;
  OnBounds on_bounds;
  Task done;
  std::size_t next = 0;
  std::size_t asked = 0;  // and not answered
  bool stepping = false;
};

void Evidence::ask_bounds(bool insists, OnBounds on_bounds, Task done) {
  step(std::make_shared<Walk>(Walk{partitions(), insists, std::move(on_bounds), std::move(done)}));
}

void Evidence::step(const std::shared_ptr<Walk>& walk) {
  if (std::exchange(walk->stepping, true)) return;  // answered within the call
  while (walk->asked < asked_max && walk->next < walk->partitions.size()) {
    ++walk->asked;
    ask_one(walk, walk->partitions[walk->next++]);
  }
  walk->stepping = false;
  if (walk->asked == 0 && walk->done) std::exchange(walk->done, nullptr)();
}

void Evidence::ask_one(const std::shared_ptr<Walk>& walk, Partition partition) {
  place_.stream->bounds(partition, [this, walk, partition](const Result<stream::Bounds>& bounds) {
    if (!bounds && walk->insists && bounds.error().code != Errc::not_found) {
      place_.loop->run_after(retry_delay, [this, walk, partition] { ask_one(walk, partition); });
      return;
    }
    if (bounds)
      walk->on_bounds(partition, *bounds);
    else if (bounds.error().code != Errc::not_found)
      walk->next = walk->partitions.size();  // nor can the others be asked for
    --walk->asked;
    step(walk);
  });
}

}  // namespace sluice::sessions
