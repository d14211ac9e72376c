#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/world.h"
#include "trace/traces.h"

namespace sluice::trace {
namespace {

using By = Query::By;

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class TracerTest : public testing::Test {
 protected:
  void emit(const Subject& subject) { tracer_.emit("event", subject); }
  void run() { world_.run_until_idle(); }

  sim::SimWorld world_{1, 1};
  std::string lines_;
  std::vector<Task> taken_;
  Tracer tracer_{world_.loop(0), ShardId{7}, [this](TraceId, const std::string& lines, Task taken) {
                   lines_ += lines;
                   taken_.push_back(std::move(taken));
                 }};
};

TEST_F(TracerTest, IsInactiveUntilATraceStartsAndAfterItStops) {
  EXPECT_FALSE(tracer_.active());
  emit({.client = "a"});
  tracer_.start(1, {By::client, "a"});
  EXPECT_TRUE(tracer_.active());
  tracer_.stop(1);
  EXPECT_FALSE(tracer_.active());
  emit({.client = "a"});
  run();
  EXPECT_EQ(lines_, "");
}

TEST_F(TracerTest, ShowsWhatFitsItsQuery) {
  tracer_.start(1, {By::client, "a"});
  EXPECT_FALSE(tracer_.asks_for_peers());
  tracer_.start(2, {By::ip, "10.0.0.1"});
  EXPECT_TRUE(tracer_.asks_for_peers());
  tracer_.start(3, {By::topic, "x/#"});
  EXPECT_TRUE(tracer_.wants({.client = "a"}));
  EXPECT_FALSE(tracer_.wants({.client = "ab"}));
  EXPECT_TRUE(tracer_.wants({.peer = "10.0.0.1:99"}));
  EXPECT_FALSE(tracer_.wants({.peer = "10.0.0.11:99"}));
  EXPECT_TRUE(tracer_.wants({.topic = "x/y"}));
  EXPECT_FALSE(tracer_.wants({.topic = "y"}));
  EXPECT_FALSE(tracer_.wants({.client = "a", .only = 2})) << "it is for another trace";
}

TEST_F(TracerTest, KnowsAddressesOfBothFamilies) {
  tracer_.start(1, checked({By::ip, "[::1]"}).value());
  EXPECT_TRUE(tracer_.wants({.peer = "[::1]:99"}));
  EXPECT_FALSE(tracer_.wants({.peer = "[::11]:99"}));
}

TEST_F(TracerTest, AnEventIsALineWithItsMembers) {
  tracer_.start(1, {By::client, "a"});
  tracer_.emit("stored", {.client = "a", .topic = "x\n"},
               [](JsonObject& line) { line.add("offset", 5); });
  run();
  EXPECT_NE(lines_.find(R"("shard":7,"event":"stored","client":"a","topic":"x\n","offset":5})"
                        "\n"),
            std::string::npos)
      << lines_;
}

TEST_F(TracerTest, PayloadsAreShownOnRequestAndOnlyTheirFirstBytes) {
  tracer_.start(1, {By::client, "a"});
  const Subject subject{.client = "a", .payload = as_bytes(std::string_view("123\xc3\xa9"))};
  emit(subject);
  run();
  EXPECT_EQ(count(lines_, "payload_size\":5"), 1u);
  EXPECT_EQ(count(lines_, "payload\":"), 0u);
  tracer_.stop(1);
  tracer_.start(2, {By::client, "a", 4});
  emit(subject);
  run();
  EXPECT_EQ(count(lines_, R"("payload":"123")"), 1u) << "half a character is none\n" << lines_;
  emit({.client = "a", .payload = as_bytes(std::string_view("\xff\xfe"))});
  taken_.back()();
  run();
  EXPECT_EQ(count(lines_, R"("payload_base64":"//4=")"), 1u) << lines_;
}

TEST_F(TracerTest, AReaderThatStallsCostsABoundedBufferAndIsToldWhatIsMissing) {
  tracer_.start(1, {By::client, "a"});
  constexpr std::size_t events = 10'000;
  for (std::size_t i = 0; i < events; ++i) {
    emit({.client = "a"});
    if (i == 10) run();
  }
  EXPECT_EQ(count(lines_, "\n"), 11u) << "what was there when it was sent";
  run();
  EXPECT_EQ(count(lines_, "\n"), 11u) << "the reader has not taken them";
  const std::size_t before = lines_.size();
  taken_.back()();
  run();
  EXPECT_LT(lines_.size() - before, Tracer::buffer_max + 200);
  const std::size_t shown = count(lines_, R"("event":"event")");
  EXPECT_EQ(count(lines_, R"("event":"dropped","count":)" + std::to_string(events - shown)), 1u)
      << lines_.substr(lines_.size() - 200);
  taken_.back()();
  run();
  EXPECT_EQ(taken_.size(), 2u) << "nothing more is there to be sent";
}

TEST_F(TracerTest, WhoPublishesIsKnownWhileATraceIsOn) {
  tracer_.start(1, {By::client, "a"});
  tracer_.note_publisher(5, {.client = "a", .peer = "p"});
  EXPECT_EQ(tracer_.publisher(5).client, "a");
  EXPECT_EQ(tracer_.publisher(6).client, "");
  for (std::uint64_t i = 0; i < 2 * Tracer::publishers_max; ++i)
    tracer_.note_publisher(100 + i, {"b"});
  EXPECT_EQ(tracer_.publisher(100 + 2 * Tracer::publishers_max - 1).client, "") << "bounded";
  tracer_.stop(1);
  EXPECT_EQ(tracer_.publisher(5).client, "");
}

TEST(Query, IsCheckedBeforeItIsUsed) {
  EXPECT_TRUE(checked({By::topic, "a/+/#"}));
  EXPECT_EQ(checked({By::topic, "a/#/b"}).error().code, Errc::invalid);
  EXPECT_EQ(checked({By::topic, "$share/g/a"}).error().code, Errc::invalid);
  EXPECT_EQ(checked({By::client, ""}).error().code, Errc::invalid);
}

class TracesTest : public testing::TestWithParam<int> {
 protected:
  TracesTest() {
    for (int i = 0; i < GetParam(); ++i)
      tracers_.push_back(&traces_.add(world_.loop(static_cast<std::size_t>(i))));
  }
  static std::vector<runtime::Loop*> loops(sim::SimWorld& world) {
    std::vector<runtime::Loop*> all;
    for (std::size_t i = 0; i < world.loops(); ++i) all.push_back(&world.loop(i));
    return all;
  }
  // Calls are made in turns of shard 0, as its mailboxes ask.
  void on_home(Task task) {
    world_.loop(0).post(std::move(task));
    world_.run_until_idle();
  }
  TraceId start(const std::string& client) {
    TraceId id = 0;
    on_home([&] {
      const auto started = traces_.start(
          {By::client, client},
          [this](const std::string& lines, Task taken) {
            lines_ += lines;
            taken();
          },
          [this] { ++started_; });
      if (started) id = *started;
    });
    return id;
  }
  void emit_everywhere(const std::string& client) {
    for (std::size_t i = 0; i < tracers_.size(); ++i)
      world_.loop(i).post([this, i, client] { tracers_[i]->emit("event", {.client = client}); });
    world_.run_until_idle();
  }

  sim::SimWorld world_{3, static_cast<std::size_t>(GetParam())};
  runtime::Mailboxes mailboxes_{loops(world_)};
  Traces traces_{mailboxes_};
  std::vector<Tracer*> tracers_;
  std::string lines_;
  int started_ = 0;
};

TEST_P(TracesTest, LinesOfAllShardsComeToTheOneThatAsked) {
  const TraceId id = start("a");
  EXPECT_EQ(started_, 1);
  emit_everywhere("a");
  emit_everywhere("b");
  EXPECT_EQ(count(lines_, "\n"), tracers_.size());
  on_home([&] { traces_.stop(id); });
  emit_everywhere("a");
  EXPECT_EQ(count(lines_, "\n"), tracers_.size());
  for (const Tracer* tracer : tracers_) EXPECT_FALSE(tracer->active());
}

TEST_P(TracesTest, ThereIsAMaximumAndAPlaceIsFreeAgainAfterStop) {
  TraceId last = 0;
  for (std::size_t i = 0; i < Tracer::traces_max; ++i) last = start("a");
  EXPECT_NE(last, 0u);
  EXPECT_EQ(start("a"), 0u);
  on_home([&] { traces_.stop(last); });
  EXPECT_NE(start("a"), 0u);
}

TEST_P(TracesTest, OneThatIsStoppedWhileItStartsLeavesNothingBehind) {
  on_home([&] {
    const auto id = traces_.start({By::client, "a"}, [](const std::string&, Task) {}, [] {});
    traces_.stop(*id);
  });
  for (const Tracer* tracer : tracers_) EXPECT_FALSE(tracer->active());
}

INSTANTIATE_TEST_SUITE_P(Shards, TracesTest, testing::Values(1, 2));

}  // namespace
}  // namespace sluice::trace
