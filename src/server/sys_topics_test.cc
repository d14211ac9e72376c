#include "server/sys_topics.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "base/bytes.h"
#include "sim/world.h"

namespace sluice::server {
namespace {

using std::chrono::seconds;

struct Rig {
  sim::SimWorld world{1, 1};
  Metrics one, other;
  std::int64_t stored = 7;
  std::vector<hub::AnnouncementRef> announced;
  SysTopics topics{world.loop(0),
                   {&one, &other},
                   [this](const hub::AnnouncementRef& news) { announced.push_back(news); },
                   [this](Done<std::int64_t> done) { done(stored); }};

  [[nodiscard]] std::map<std::string, std::string> last() const {
    std::map<std::string, std::string> values;
    const log::Block& block = *announced.back()->block;
    for (const log::Record& record : block.records())
      values[std::string(as_text(block.key(record)))] = as_text(block.value(record));
    return values;
  }
  [[nodiscard]] std::vector<std::string> changed() const {
    std::vector<std::string> names;
    const log::Block& block = *announced.back()->block;
    for (const std::uint32_t index : announced.back()->changed)
      names.emplace_back(as_text(block.key(block.records()[index])));
    return names;
  }
  Gauge& connections(Metrics& metrics) {
    return metrics.gauge("sluice_connections", "", "protocol=\"mqtt\"");
  }
};

TEST(SysTopics, AreSumsOverTheShardsAtEachInterval) {
  Rig rig;
  rig.connections(rig.one).set(2);
  rig.connections(rig.other).set(3);
  rig.other.gauge("sluice_connections", "", "protocol=\"kafka\"").set(100);
  rig.one.counter("sluice_messages_received_total", "", "protocol=\"mqtt\",qos=\"0\"").add(10);
  rig.one.counter("sluice_messages_received_total", "", "protocol=\"mqtt\",qos=\"1\"").add(5);
  rig.topics.start(seconds(10));
  ASSERT_EQ(rig.announced.size(), 1u) << "the first at once";
  EXPECT_EQ(rig.last()["$SYS/broker/clients/connected"], "5");
  EXPECT_EQ(rig.last()["$SYS/broker/publish/messages/received"], "15");
  EXPECT_EQ(rig.last()["$SYS/broker/store/messages/count"], "7");
  EXPECT_EQ(rig.last()["$SYS/broker/uptime"], "0 seconds");

  rig.connections(rig.one).set(0);
  rig.world.run_for(seconds(10));
  ASSERT_EQ(rig.announced.size(), 2u);
  EXPECT_EQ(rig.last()["$SYS/broker/clients/connected"], "3");
  EXPECT_EQ(rig.last()["$SYS/broker/clients/maximum"], "5");
  EXPECT_EQ(rig.last()["$SYS/broker/uptime"], "10 seconds");
}

TEST(SysTopics, OnlyWhatHasChangedIsNews) {
  Rig rig;
  rig.topics.start(seconds(10));
  EXPECT_EQ(rig.changed().size(), rig.last().size()) << "everything at first";
  rig.connections(rig.one).set(1);
  rig.world.run_for(seconds(10));
  const auto changed = rig.changed();
  const auto holds = [&](std::string_view name) {
    return std::ranges::find(changed, name) != changed.end();
  };
  EXPECT_TRUE(holds("$SYS/broker/clients/connected"));
  EXPECT_TRUE(holds("$SYS/broker/uptime"));
  EXPECT_FALSE(holds("$SYS/broker/version"));
  EXPECT_FALSE(holds("$SYS/broker/bytes/sent"));
}

TEST(SysTopics, EndWithStop) {
  Rig rig;
  rig.topics.start(seconds(10));
  rig.topics.stop();
  rig.world.run_for(seconds(60));
  EXPECT_EQ(rig.announced.size(), 1u);
}

// 100 a minute for an hour: each average is there, the shorter ones sooner.
TEST(LoadAverage, ComesToTheRateAndForgetsIt) {
  LoadAverage load;
  std::int64_t total = 0;
  for (int i = 0; i < 6; ++i) load.add(total += 20, 12);
  EXPECT_GT(load.per_minute(0), 60);
  EXPECT_GT(load.per_minute(0), load.per_minute(1));
  EXPECT_GT(load.per_minute(1), load.per_minute(2));
  for (int i = 0; i < 600; ++i) load.add(total += 20, 12);
  for (std::size_t period = 0; period < 3; ++period)
    EXPECT_NEAR(load.per_minute(period), 100, 1) << period;
  for (int i = 0; i < 50; ++i) load.add(total, 12);
  EXPECT_LT(load.per_minute(0), 1);
  EXPECT_GT(load.per_minute(2), 40);
}

}  // namespace
}  // namespace sluice::server
