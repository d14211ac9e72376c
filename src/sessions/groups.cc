#include "sessions/groups.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"
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

Groups::Groups(const Place& place, Rows& rows, Random random, Inspect inspect)
    : place_(place),
      rows_(rows),
      random_(random),
      process_(random_.next()),
      inspect_(std::move(inspect)) {}

// Of a group that another process has left.
struct Groups::Verification {
  std::string text;
  GroupState state;
  KeyRange range;  // of holders, those that are left
  Done<std::optional<GroupState>> done;
  bool is_held = false;
  std::vector<Position> taken{};
};

// --- in use

void Groups::open(const std::string& text, Done<std::optional<GroupState>> done) {
  if (stopped_) return done(std::unexpected(stopped_error()));
  used_[text] = topic::is_queue(text);
  rows_.when_settled(slot_of_group(text), [this, text, done = std::move(done)]() mutable {
    rows_.load_group(text, [this, text, done = std::move(done)](
                               Result<std::optional<GroupState>> found) mutable {
      if (!found || !*found) return done(std::move(found));
      if ((*found)->process == process_) {
        used_[text] = true;
        return done(std::move(found));
      }
      KeyRange range = holders_of(text);
      verify_portion(std::make_shared<Verification>(
          Verification{text, std::move(**found), std::move(range), std::move(done)}));
    });
  });
}

void Groups::close(const std::string& text) { used_.erase(text); }

bool Groups::is_kept(const std::string& text) const {
  const auto used = used_.find(text);
  return used != used_.end() && used->second;
}

void Groups::add_holder(const std::string& text, const std::string& client_id, Done<ShareId> done) {
  if (stopped_) return done(std::unexpected(stopped_error()));
  SLUICE_ASSERT(used_.contains(text));
  used_[text] = true;
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
  rows_.put(slot_of_group(text), group_key(text), encode_group(state), std::move(done));
}

// --- holders that go

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
  if (const auto used = used_.find(text); used != used_.end()) used->second = false;
  erase(text, group_key(text));
}

// A crash may bring the row back; who takes up the group then sees that nobody holds it.
void Groups::erase(const std::string& text, std::string key) {
  rows_.put_behind(slot_of_group(text), std::move(key), std::nullopt);
}

// --- what another process has left

void Groups::verify_portion(const std::shared_ptr<Verification>& verification) {
  place_.table->scan(slot_of_group(verification->text),
                     {.from = verification->range.from,
                      .until = verification->range.until,
                      .rows_max = holders_at_once},
                     [this, verification](Result<table::Portion> portion) {
                       if (!portion)
                         return verification->done(std::unexpected(std::move(portion.error())));
                       const Together together(
                           portion->rows.size() + 1,
                           [this, verification, next = portion->next](Result<void> all) {
                             if (!all)
                               return verification->done(std::unexpected(std::move(all.error())));
                             if (!next) return end_verification(verification);
                             verification->range.from = *next;
                             verify_portion(verification);
                           });
                       for (const table::Row& row : portion->rows)
                         look_at(verification, row, together.answer());
                       together.answer()({});
                     });
}

void Groups::look_at(const std::shared_ptr<Verification>& verification, const table::Row& row,
                     Done<void> done) {
  const std::string& text = verification->text;
  const ShareId share = share_in_holder_key(text, row.key);
  const auto client_id = decode_holder(row.value);
  if (share == 0 || !client_id) {
    erase(text, row.key);
    return done({});
  }
  inspect_(*client_id, text, share,
           [this, verification, key = row.key, done = std::move(done)](Result<Part> part) mutable {
             if (!part) return done(std::unexpected(std::move(part.error())));
             auto& taken = verification->taken;
             taken.insert(taken.end(), part->taken.begin(), part->taken.end());
             if (part->holds)
               verification->is_held = true;
             else
               erase(verification->text, std::move(key));
             done({});
           });
}

void Groups::end_verification(const std::shared_ptr<Verification>& verification) {
  const std::string& text = verification->text;
  if (!verification->is_held && !topic::is_queue(text)) {
    erase(text, group_key(text));
    return verification->done(std::nullopt);
  }
  used_[text] = true;
  leave_out(verification->state, std::move(verification->taken));
  verification->done(std::move(verification->state));
}

}  // namespace sluice::sessions
