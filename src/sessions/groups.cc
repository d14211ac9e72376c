#include "sessions/groups.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"
#include "sessions/listing.h"
#include "topic/topic.h"

namespace sluice::sessions {
namespace {

constexpr std::size_t holders_at_once = 100;

Error stopped_error() { return {Errc::closed, "groups are stored no more: the hub is stopping"}; }

void sort_out(std::vector<Position>& positions) {
  std::ranges::sort(positions);
  const auto rest = std::ranges::unique(positions);
  positions.erase(rest.begin(), rest.end());
}

// What sessions have taken to themselves nobody else gets.
void leave_out(GroupState& state, std::vector<Position> taken) {
  taken.insert(taken.end(), state.taken.begin(), state.taken.end());
  sort_out(taken);
  sort_out(state.open);
  std::vector<Position> rest;
  std::ranges::set_difference(state.open, taken, std::back_inserter(rest));
  state.open = std::move(rest);
  std::erase_if(taken, [&](const Position& position) {
    const auto next = std::ranges::find(state.next, position.partition, &Position::partition);
    return next != state.next.end() && position.offset < next->offset;
  });
  state.taken = std::move(taken);
}

}  // namespace

std::vector<GroupPlace> places_of(GroupState state) {
  std::ranges::sort(state.open);
  std::vector<GroupPlace> places;
  places.reserve(state.next.size());
  for (const Position& next : state.next) {
    const auto open =
        std::ranges::equal_range(state.open, next.partition, {}, &Position::partition);
    places.push_back({.next = next,
                      .open = static_cast<std::uint32_t>(open.size()),
                      .oldest = open.empty() ? Offset{} : open.front().offset});
  }
  return places;
}

Groups::Groups(const Place& place, Rows& rows, Random random, Inspect inspect)
    : place_(place),
      rows_(rows),
      random_(random),
      process_(random_.next()),
      inspect_(std::move(inspect)) {}

// --- in use

void Groups::open(const std::string& text, Done<std::optional<GroupState>> done) {
  if (stopped_) return done(std::unexpected(stopped_error()));
  if (const auto removing = removing_.find(text); removing != removing_.end())
    return removing->second.push_back(
        [this, text, done = std::move(done)]() mutable { open(text, std::move(done)); });
  used_[text] = {.kept = topic::is_queue(text)};
  rows_.when_settled(slot_of_group(text), [this, text, done = std::move(done)]() mutable {
    rows_.load_group(text, [this, text, done = std::move(done)](
                               Result<std::optional<GroupState>> found) mutable {
      if (!found || !*found) return done(std::move(found));
      if ((*found)->process != process_) return take_up(text, std::move(**found), std::move(done));
      used_[text].kept = true;
      done(std::move(found));
    });
  });
}

// What another process has left.
void Groups::take_up(const std::string& text, GroupState state,
                     Done<std::optional<GroupState>> done) {
  ask_holders(text, Stale::goes,
              [this, text, state = std::move(state),
               done = std::move(done)](Result<Holders> holders) mutable {
                if (!holders) return done(std::unexpected(std::move(holders.error())));
                if (holders->count == 0 && !topic::is_queue(text)) {
                  erase(text, group_key(text));
                  for (const ShareId share : std::exchange(used_[text].stale, {}))
                    erase(text, holder_key(text, share));
                  return done(std::nullopt);
                }
                used_[text].kept = true;
                leave_out(state, std::move(holders->taken));
                done(std::move(state));
              });
}

void Groups::close(const std::string& text) { used_.erase(text); }

bool Groups::is_kept(const std::string& text) const {
  const auto used = used_.find(text);
  return used != used_.end() && used->second.kept;
}

void Groups::add_holder(const std::string& text, const std::string& client_id, Done<ShareId> done) {
  if (stopped_) return done(std::unexpected(stopped_error()));
  SLUICE_ASSERT(used_.contains(text));
  used_[text].kept = true;
  ++added_;
  const ShareId share = random_.next() | 1;
  rows_.put(slot_of_group(text), holder_key(text, share), encode_holder(client_id),
            [share, done = std::move(done)](Result<void> put) mutable {
              if (!put) return done(std::unexpected(std::move(put.error())));
              done(share);
            });
}

void Groups::save(const std::string& text, GroupState state, Done<void> done) {
  if (stopped_) return done(std::unexpected(stopped_error()));
  if (!is_kept(text)) return done({});
  state.process = process_;
  rows_.put(slot_of_group(text), group_key(text), encode_group(state),
            [this, text, stale = std::exchange(used_[text].stale, {}),
             done = std::move(done)](Result<void> saved) mutable {
              if (saved)
                for (const ShareId share : stale) remove_holder(text, share);
              done(std::move(saved));
            });
}

// --- holders that go

void Groups::release(const std::string& text, ShareId share) {
  if (on_released_) return on_released_(text, share);
  remove_holder(text, share);
}

void Groups::remove_holder(const std::string& text, ShareId share) {
  if (stopped_) return;  // a start finds that it holds nothing
  erase(text, holder_key(text, share));
  if (!topic::is_queue(text)) end_if_nobody_holds(text);
}

// Who is found has been put durably before; who was added meanwhile counts, too.
void Groups::end_if_nobody_holds(const std::string& text) {
  rows_.when_settled(slot_of_group(text), [this, text] {
    KeyRange range = holders_of(text);
    place_.table->scan(
        slot_of_group(text),
        {.from = std::move(range.from), .until = std::move(range.until), .rows_max = 1},
        [this, text, added = added_](const Result<table::Portion>& portion) {
          const bool any = !portion || !portion->rows.empty() || portion->next;
          on_holders(text, added, any);
        });
  });
}

void Groups::on_holders(const std::string& text, std::uint64_t added_before, bool any) {
  if (any || stopped_) return;
  if (added_ != added_before) return end_if_nobody_holds(text);
  if (const auto used = used_.find(text); used != used_.end()) used->second.kept = false;
  erase(text, group_key(text));
}

// --- who holds it

// Goes through the rows of those who hold a group, or did, and asks their sessions.
struct Groups::Walk {
  std::string text;
  KeyRange range;  // rows that are left
  Stale stale;
  Done<Holders> done;
  Holders found{};
};

void Groups::ask_holders(const std::string& text, Stale stale, Done<Holders> done) {
  ask_portion(std::make_shared<Walk>(Walk{text, holders_of(text), stale, std::move(done)}));
}

void Groups::ask_portion(const std::shared_ptr<Walk>& walk) {
  place_.table->scan(
      slot_of_group(walk->text),
      {.from = walk->range.from, .until = walk->range.until, .rows_max = holders_at_once},
      [this, walk](Result<table::Portion> portion) {
        if (!portion) return walk->done(std::unexpected(std::move(portion.error())));
        const Together together(portion->rows.size() + 1,
                                [this, walk, next = portion->next](Result<void> all) {
                                  if (!all)
                                    return walk->done(std::unexpected(std::move(all.error())));
                                  if (!next) return walk->done(std::move(walk->found));
                                  walk->range.from = *next;
                                  ask_portion(walk);
                                });
        for (const table::Row& row : portion->rows) look_at(walk, row, together.answer());
        together.answer()({});
      });
}

void Groups::look_at(const std::shared_ptr<Walk>& walk, const table::Row& row, Done<void> done) {
  const ShareId share = share_in_holder_key(walk->text, row.key);
  const auto client_id = decode_holder(row.value);
  if (share == 0 || !client_id) {
    note_holder(*walk, row.key, {}, {});
    return done({});
  }
  inspect_(*client_id, walk->text, share,
           [this, walk, key = row.key, client_id = *client_id,
            done = std::move(done)](Result<Part> part) mutable {
             if (!part) return done(std::unexpected(std::move(part.error())));
             note_holder(*walk, std::move(key), client_id, *part);
             done({});
           });
}

void Groups::note_holder(Walk& walk, std::string key, const std::string& client_id,
                         const Part& part) {
  Holders& found = walk.found;
  found.taken.insert(found.taken.end(), part.taken.begin(), part.taken.end());
  if (part.holds) {
    if (++found.count <= Holders::named_max) found.client_ids.push_back(client_id);
  } else if (walk.stale == Stale::goes) {
    note_stale(walk.text, std::move(key), !part.taken.empty());
  }
}

// If there is a crash before the group is saved, it is to be asked again.
void Groups::note_stale(const std::string& text, std::string key, bool has_taken) {
  const auto used = used_.find(text);
  if (has_taken && used != used_.end())
    used->second.stale.push_back(share_in_holder_key(text, key));
  else
    erase(text, std::move(key));
}

// --- for administrators

void Groups::list(PageQuery query, Done<Page<GroupSummary>> done) {
  if (stopped_) return done(std::unexpected(stopped_error()));
  std::make_shared<Listing<GroupSummary>>(place_, std::move(query), std::move(done))->start();
}

void Groups::find(const std::string& text, Done<std::optional<GroupState>> done) {
  if (stopped_) return done(std::unexpected(stopped_error()));
  rows_.when_settled(slot_of_group(text), [this, text, done = std::move(done)]() mutable {
    rows_.load_group(text, std::move(done));
  });
}

void Groups::find_holders(const std::string& text, Done<Holders> done) {
  if (stopped_) return done(std::unexpected(stopped_error()));
  ask_holders(text, Stale::stays, std::move(done));
}

void Groups::remove(const std::string& text, Done<bool> done) {
  if (stopped_) return done(std::unexpected(stopped_error()));
  if (used_.contains(text) || !removing_.try_emplace(text).second)
    return done(fail(Errc::exists, "{} is in use, or about to be deleted", text));
  auto end = [this, text, done = std::move(done)](Result<bool> removed) mutable {
    done(std::move(removed));
    const auto waiting = removing_.extract(text);
    for (Task& task : waiting.mapped()) task();
  };
  find(text, [this, text, end = std::move(end)](Result<std::optional<GroupState>> found) mutable {
    if (!found) return end(std::unexpected(std::move(found.error())));
    if (!*found) return end(false);
    remove_unheld(text, std::move(end));
  });
}

void Groups::remove_unheld(const std::string& text, Done<bool> done) {
  ask_holders(text, Stale::goes,
              [this, text, done = std::move(done)](Result<Holders> holders) mutable {
                if (!holders) return done(std::unexpected(std::move(holders.error())));
                if (holders->count > 0)
                  return done(fail(Errc::exists, "{} is in stored sessions", text));
                if (stopped_) return done(std::unexpected(stopped_error()));
                rows_.put(slot_of_group(text), group_key(text), std::nullopt,
                          [done = std::move(done)](Result<void> erased) mutable {
                            if (!erased) return done(std::unexpected(std::move(erased.error())));
                            done(true);
                          });
              });
}

// A crash may bring the row back; who takes up the group then sees that nobody holds it.
void Groups::erase(const std::string& text, std::string key) {
  rows_.put_behind(slot_of_group(text), std::move(key), std::nullopt);
}

}  // namespace sluice::sessions
