#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/page.h"
#include "base/page_query.h"
#include "base/random.h"
#include "base/task.h"
#include "sessions/evidence.h"
#include "sessions/record.h"
#include "sessions/rows.h"

namespace sluice::sessions {

// How far a group has come in one partition.
struct GroupPlace {
  Position next{};         // the next record that nobody was given
  std::uint32_t open = 0;  // below: records that were given and are not settled, or came back
  Offset oldest{};         // of these
  friend bool operator==(const GroupPlace&, const GroupPlace&) = default;
};
// Of all partitions in `state.next`, in their order.
std::vector<GroupPlace> places_of(GroupState state);

// For administrators: a group without who holds it.
struct GroupSummary {
  std::string text{};
  std::vector<GroupPlace> places{};
};

// The rows of the shared subscriptions whose home is one shard (slot_of_group): of each that
// outlives its members how far it has come, and one row per holder, a stored session's subscription
// to it. A group is kept as long as it has a holder; "$queue/..." is kept for good.
//
// A holder's row is durable before the session's filter says the same, and goes after it: a crash
// may leave holders that are none, never the other way round. So who takes up a group that another
// process has left asks the sessions; so does an administrator.
//
// Shard:   its own, for groups whose home it is.
// Failure: errors are those of the table (busy, disk_full, io, corrupt), and closed after stop().
class Groups {
 public:
  // What a session says of its share in a group.
  struct Part {
    bool holds = false;
    std::vector<Position> taken{};  // QoS 2 messages of the group that it has in flight
  };
  // Sessions whose part in a group is theirs.
  struct Holders {
    static constexpr std::size_t named_max = 1000;
    std::size_t count = 0;
    std::vector<std::string> client_ids{};  // of the first named_max
    std::vector<Position> taken{};          // by all whose rows there are
  };
  // Asks the home of the client id.
  using Inspect = std::function<void(const std::string& client_id, const std::string& text,
                                     ShareId share, Done<Part> done)>;

  Groups(const Place& place, Rows& rows, Random random, Inspect inspect);
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  // The group is in use from now on, until close(). Where it goes on, without what sessions have
  // taken to themselves; nothing: it begins.
  void open(const std::string& text, Done<std::optional<GroupState>> done);
  void close(const std::string& text);
  // Somebody holds a group in use, or it is a queue: it is saved.
  [[nodiscard]] bool is_kept(const std::string& text) const;
  // Of a group in use. From the call on it is kept; who adds a holder saves the group as well.
  void add_holder(const std::string& text, const std::string& client_id, Done<ShareId> done);
  // Of a group in use: durable, or nothing to do because nobody holds it. `process` is set here.
  void save(const std::string& text, GroupState state, Done<void> done);
  // The session's subscription is over, durably. Its row goes by remove_holder(): at once, or when
  // who uses groups, if it has asked to be told, says so: what the session took from the group and
  // has in flight yet must be in the group's row by then.
  void release(const std::string& text, ShareId share);
  using OnReleased = std::function<void(const std::string& text, ShareId share)>;
  void set_on_released(OnReleased on_released) { on_released_ = std::move(on_released); }
  // With the last one the group's row goes.
  void remove_holder(const std::string& text, ShareId share);
  // Nothing is put any more.
  void stop() { stopped_ = true; }

  // --- for administrators, of any group
  void list(PageQuery query, Done<Page<GroupSummary>> done);  // those that are stored here
  void find(const std::string& text, Done<std::optional<GroupState>> done);  // as it was saved
  void find_holders(const std::string& text, Done<Holders> done);
  // Forgets a group that nobody holds; false: there was none. Who opens it meanwhile waits, and
  // finds that it begins. Errors, besides those above: exists while it is in use or held.
  void remove(const std::string& text, Done<bool> done);

 private:
  struct Use {
    bool kept = false;  // somebody holds it, or it is a queue
    // Rows of holders that are none, whose sessions had something of it in flight when it was taken
    // up: they go when that is saved with the group.
    std::vector<ShareId> stale{};
  };
  // Rows of holders that are none.
  enum class Stale : std::uint8_t { stays, goes };
  struct Walk;

  void take_up(const std::string& text, GroupState state, Done<std::optional<GroupState>> done);
  void end_if_nobody_holds(const std::string& text);
  void on_holders(const std::string& text, std::uint64_t added_before, bool any);
  void ask_holders(const std::string& text, Stale stale, Done<Holders> done);
  void ask_portion(const std::shared_ptr<Walk>& walk);
  void look_at(const std::shared_ptr<Walk>& walk, const table::Row& row, Done<void> done);
  void note_holder(Walk& walk, std::string key, const std::string& client_id, const Part& part);
  void note_stale(const std::string& text, std::string key, bool has_taken);
  void remove_unheld(const std::string& text, Done<bool> done);
  void erase(const std::string& text, std::string key);

  const Place& place_;
  Rows& rows_;
  Random random_;
  const std::uint64_t process_;
  const Inspect inspect_;
  OnReleased on_released_;
  std::unordered_map<std::string, Use> used_;                    // by text
  std::unordered_map<std::string, std::vector<Task>> removing_;  // who waits until it is gone
  std::uint64_t added_ = 0;                                      // holders so far, of all groups
  bool stopped_ = false;
};

}  // namespace sluice::sessions
