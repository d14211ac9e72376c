#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/task.h"
#include "hub/hub.h"
#include "runtime/ask.h"

namespace sluice::hub {

// Who holds a client id: one live connection over all shards and protocols, the newest.
//
// The shard of the client id's slot, its home, knows the holder and puts claims in order: a new
// one is granted when all older holders have been told on their own shards, and have said that they
// are done. Claims that wait are as many as connections that made them.
class Directory {
 public:
  Directory(Group& group, ShardId shard, std::function<Directory&(ShardId)> on_shard);

  void claim(std::string client_id, std::uint64_t session, Claim claim, Evict evict,
             Done<void> done);
  void release(std::string_view client_id, std::uint64_t session);

 private:
  struct Holder {
    ShardId shard;
    std::uint64_t session = 0;
  };
  // A take-over that waits.
  struct Leaving {
    std::uint32_t holders = 0;  // that were told and are not done
    std::vector<Task> granted;  // claims, in order: the last one holds the id, if it still wants it
  };
  struct TransparentHash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  [[nodiscard]] ShardId home_of(std::string_view client_id) const;
  void grant(const std::string& client_id, Holder holder, Claim claim, Task granted);  // at home
  void end_older(const std::string& client_id, Holder older, Claim claim);             // at home
  void on_ended(const std::string& client_id);                                         // at home
  void forget(std::string_view client_id, std::uint64_t session);                      // at home
  void evict(std::uint64_t session, Claim newer, Task done);  // at the holder's shard
  void ask(ShardId to, runtime::Request request, Task done);

  Group& group_;
  ShardId shard_;
  std::function<Directory&(ShardId)> on_shard_;
  std::unordered_map<std::uint64_t, Evict> evictions_;  // of the sessions that are here
  // Of client ids at home here.
  std::unordered_map<std::string, Holder, TransparentHash, std::equal_to<>> holders_;
  std::unordered_map<std::string, Leaving> leaving_;
};

}  // namespace sluice::hub
