#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hub/subscriptions.h"
#include "log/block.h"

namespace sluice::hub {

// What the hub says of itself, under topics that begin with "$SYS/". It is not stored: to all
// shards goes what is true now, in memory.
struct Announcement {
  log::BlockRef block;                 // every topic once, retained, at QoS 0
  std::vector<std::uint32_t> changed;  // indexes of records that the one before did not have so
};

struct AnnouncedTopic {
  std::string topic;
  std::string value{};
  bool changed = true;
};
// Precondition: there are some.
AnnouncementRef make_announcement(WallMs now, std::span<const AnnouncedTopic> topics);

// The newest announcement, for the subscribers of one shard: who is there gets what has changed,
// who comes later all that its filter matches, as retained messages. Who can't take it does not get
// it later; the next one is due soon.
class Announcements {
 public:
  explicit Announcements(Subscriptions& subscriptions) : subscriptions_(subscriptions) {}

  void announce(AnnouncementRef announcement);
  // To one subscriber, for a filter that it has just subscribed to.
  void send_current(Handle subscriber, const std::string& filter);

 private:
  Subscriptions& subscriptions_;
  AnnouncementRef current_;  // none before the first
};

}  // namespace sluice::hub
