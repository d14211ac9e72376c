#include "hub/announcements.h"

#include <gtest/gtest.h>

#include "hub/clients_test.h"
#include "hub/sim_hub_test.h"

namespace sluice::hub {
namespace {

using Strings = std::vector<std::string>;

AnnouncementRef announcement(const std::vector<AnnouncedTopic>& topics) {
  return make_announcement(1, topics);
}

class HubAnnouncements : public testing::Test {
 protected:
  SimHub sim{1};
  Hub& hub = *sim.hubs[0];
};

TEST_F(HubAnnouncements, WhoHasSubscribedGetsWhatHasChanged) {
  TestSubscriber all(hub), one(hub), plain(hub);
  all.subscribe(sim.world, "$SYS/#", {.qos = 1});
  one.subscribe(sim.world, "$SYS/broker/uptime");
  plain.subscribe(sim.world, "#");
  hub.announce(announcement({{"$SYS/broker/uptime", "1"}, {"$SYS/broker/version", "v"}}));
  EXPECT_EQ(all.payloads(), (Strings{"1", "v"}));
  EXPECT_EQ(one.payloads(), (Strings{"1"}));
  EXPECT_TRUE(plain.got.empty()) << "a wildcard in front does not cover '$'";
  EXPECT_EQ(all.got[0].topic, "$SYS/broker/uptime");

  hub.announce(announcement({{"$SYS/broker/uptime", "2"}, {"$SYS/broker/version", "v", false}}));
  EXPECT_EQ(all.payloads(), (Strings{"1", "v", "2"}));
}

TEST_F(HubAnnouncements, WhoComesLaterGetsAllThatTheFilterMatchesAsRetained) {
  hub.announce(announcement({{"$SYS/a", "1"}, {"$SYS/b", "2"}, {"$SYS/b/c", "3"}}));
  TestSubscriber all(hub), level(hub), without(hub);
  all.subscribe(sim.world, "$SYS/#", {.send_retained = true});
  level.subscribe(sim.world, "$SYS/+", {.send_retained = true});
  without.subscribe(sim.world, "$SYS/#");
  EXPECT_EQ(all.payloads(), (Strings{"1", "2", "3"}));
  EXPECT_EQ(level.payloads(), (Strings{"1", "2"}));
  EXPECT_TRUE(without.got.empty());
}

TEST_F(HubAnnouncements, WhoCantTakeItGetsTheNextOne) {
  TestSubscriber subscriber(hub);
  subscriber.subscribe(sim.world, "$SYS/#");
  subscriber.stop();
  hub.announce(announcement({{"$SYS/a", "1"}}));
  EXPECT_TRUE(subscriber.got.empty());
  subscriber.take(10);
  sim.world.run_for(std::chrono::seconds(1));
  EXPECT_TRUE(subscriber.got.empty());
  hub.announce(announcement({{"$SYS/a", "2"}}));
  EXPECT_EQ(subscriber.payloads(), (Strings{"2"}));
}

TEST_F(HubAnnouncements, NobodyGetsAnythingAfterUnsubscribing) {
  TestSubscriber subscriber(hub);
  subscriber.subscribe(sim.world, "$SYS/#");
  ASSERT_TRUE(subscriber.unsubscribe("$SYS/#"));
  hub.announce(announcement({{"$SYS/a", "1"}}));
  EXPECT_TRUE(subscriber.got.empty());
}

}  // namespace
}  // namespace sluice::hub
