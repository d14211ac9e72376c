#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "hub/handle.h"
#include "sessions/groups.h"

// What administrators are told of shared subscriptions.
namespace sluice::hub {

// Of a group: those that are stored, and those that have members.
struct ShareSummary {
  std::string text{};       // "$share/<name>/<filter>" or "$queue/<name>/<filter>"
  std::size_t members = 0;  // now, those among them that have unsubscribed and hold messages yet
  // Where it is in the partitions that its filter covers, or goes on when somebody joins. Those
  // whose tail is not known yet are left out.
  std::vector<sessions::GroupPlace> places{};
};

struct ShareMember {
  ShardId shard{};
  Handle membership{};
  std::string client_id{};  // empty: it has gone meanwhile
  std::uint8_t qos = 0;     // granted
  std::uint32_t open = 0;   // records that it was given and has not settled
  bool has_left = false;    // it has unsubscribed, and may settle what it has
  bool is_full = false;     // it is given nothing more until it has settled some, or has room
};

struct ShareDetails {
  static constexpr std::size_t members_max = 1000;

  ShareSummary summary{};
  std::vector<ShareMember> members{};  // the first members_max
  sessions::Groups::Holders holders{};
};

}  // namespace sluice::hub
