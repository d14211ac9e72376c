#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "hub/handle.h"
#include "log/block.h"
#include "sessions/record.h"

// What a group of a shared subscription, at its home, and its members, on any shard, tell each
// other.
namespace sluice::hub {

// A member, as the home of its group names it.
struct MemberAtHome {
  Handle group;
  Handle member;
  friend bool operator==(const MemberAtHome&, const MemberAtHome&) = default;
};

// To the home: a subscriber joins, or has other options from now on.
struct ShareJoin {
  std::string text;  // "$share/<name>/<filter>", or with "$queue", valid
  ShardId shard;     // of the member
  Handle membership;
  std::uint8_t qos = 0;  // granted
  std::uint32_t window = 0;
  std::string holder{};  // client id of a stored session that holds the group from now on; or empty
  sessions::ShareId share = 0;  // of one that holds it already
};

// And the answer. Errors: those of sessions::Groups, when the group could not be stored; then it is
// a member nevertheless, until it stops.
struct ShareJoined {
  MemberAtHome member;
  sessions::ShareId share = 0;  // of the holder
  Result<void> result{};
};

// To the home: what has become of a member, or of its records. Reports keep their order.
struct ShareReport {
  enum class Kind : std::uint8_t {
    settled,  // `count` tickets from `first` on
    kept,     // the same: they stay with the member's stored session, and go to nobody else
    room,     // it can take more
    stopped,  // it has unsubscribed: gets no more, but may settle what is open
    left,     // it is gone: what is open and not kept goes to others
  };
  MemberAtHome member;
  Kind kind;
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

// To the members of one shard: their parts of one block. The answer is written into it. Used by one
// shard at a time: the home makes it, the members' shard fills in `taken`, the home reads that.
struct SharePortion {
  struct Run {
    std::uint32_t record;
    std::uint32_t count;
  };
  struct Part {
    MemberAtHome member;
    Handle membership;
    std::uint32_t round;  // see ShareGroup::Member
    std::uint64_t first_ticket;
    std::uint32_t count = 0;  // of records
    std::uint32_t taken = 0;  // of them, from the front: the answer
    std::vector<Run> runs;
  };
  ShardId shard;
  Partition partition;
  std::string prefix;
  log::BlockRef block;
  std::vector<Part> parts;
};

}  // namespace sluice::hub
