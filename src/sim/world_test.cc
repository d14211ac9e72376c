#include "sim/world.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "sim/disk.h"

namespace sluice::sim {
namespace {

using namespace std::chrono_literals;

constexpr runtime::Endpoint any_port{"127.0.0.1", 0};

// Reads all it gets and notes every call.
class Recorder final : public runtime::AcceptHandler, public runtime::SocketHandler {
 public:
  explicit Recorder(SimLoop& loop) : loop_(loop), endpoint(*loop.listen(any_port, *this)) {}

  void on_accept(runtime::Socket socket) override {
    socket_ = socket;
    loop_.attach(socket, *this);
  }
  void on_readable() override {
    Buffer buffer(100'000);
    const auto got = loop_.receive(socket_, buffer);
    chunks.push_back(got.bytes);
    bytes += got.bytes;
    if (got.state != runtime::Transfer::State::closed) return;
    closed = true;
    loop_.close(socket_);
  }
  void on_writable() override {}

 private:
  SimLoop& loop_;
  runtime::Socket socket_;

 public:
  const runtime::Endpoint endpoint;
  std::vector<std::size_t> chunks;
  std::size_t bytes = 0;
  bool closed = false;
};

std::vector<std::size_t> chunks_of(std::uint64_t seed) {
  SimWorld world(seed, 2);
  Recorder recorder(world.loop(0));
  const auto client = *world.connect(recorder.endpoint);
  for (int i = 0; i < 20; ++i) {
    client->send(Buffer(1000, std::byte{1}));
    world.run_for(100us);
  }
  EXPECT_TRUE(world.run_until([&] { return recorder.bytes == 20'000; }));
  return recorder.chunks;
}

TEST(SimWorld, OneSeedGivesOneRunAndAnotherSeedAnother) {
  EXPECT_EQ(chunks_of(1), chunks_of(1));
  EXPECT_NE(chunks_of(1), chunks_of(2));
}

TEST(SimWorld, TheNetworkSplitsAndJoinsWhatIsSent) {
  bool split = false;
  bool joined = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (const auto chunk : chunks_of(seed)) {
      split |= chunk < 1000;
      joined |= chunk > 1000;
    }
  }
  EXPECT_TRUE(split);
  EXPECT_TRUE(joined);
}

TEST(SimWorld, AResetConnectionIsClosedForBothEnds) {
  SimWorld world(1, 1);
  world.options().network.reset_one_in = 1;
  Recorder recorder(world.loop(0));
  const auto client = *world.connect(recorder.endpoint);
  client->send(as_bytes("x"));
  EXPECT_TRUE(world.run_until([&] { return recorder.closed && client->ended(); }));
  EXPECT_EQ(recorder.bytes, 0u);
}

TEST(SimWorld, WhatWasSentBeforeCloseStillArrives) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SimWorld world(seed, 1);
    Recorder recorder(world.loop(0));
    auto client = *world.connect(recorder.endpoint);
    client->send(as_bytes("the last words"));
    while (client->unsent() > 0) world.run_for(1ms);
    client->close();
    ASSERT_TRUE(world.run_until([&] { return recorder.closed; })) << "seed " << seed;
    EXPECT_EQ(recorder.bytes, 14u);
  }
}

TEST(SimWorld, NobodyListeningIsAnErrorThatNamesTheEndpoint) {
  SimWorld world(1, 1);
  const auto client = world.connect({"127.0.0.1", 1883});
  ASSERT_FALSE(client);
  EXPECT_NE(client.error().text.find("127.0.0.1:1883"), std::string::npos);
}

TEST(SimWorld, TheClockJumpsToTheNextTimerAndRunForPassesExactlyThatTime) {
  SimWorld world(1, 2);
  const auto start = world.now();
  std::optional<TimePoint> ran;
  world.loop(1).run_at(start + 24h, [&] { ran = world.loop(1).now(); });
  world.run_for(1h);
  EXPECT_EQ(world.now(), start + 1h);
  EXPECT_FALSE(ran);
  ASSERT_TRUE(world.run_until([&] { return ran.has_value(); }, 48h));
  EXPECT_GE(*ran, start + 24h);
  EXPECT_LT(*ran, start + 24h + 1ms);
  EXPECT_FALSE(world.run_until([] { return false; })) << "nothing is left to run";
}

TEST(SimWorld, ShardsRunInAnOrderOfTheSeed) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimWorld world(seed, 3);
    std::string order;
    for (std::size_t i = 0; i < 3; ++i)
      world.loop(i).post([&order, i] { order += std::to_string(i); });
    world.run_until_idle();
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 6u);
}

TEST(SimWorld, ACrashOfTheDiskInAHelperStopsTheWorld) {
  SimDisk disk(1);
  SimWorld world(1, 1);
  const auto worker = world.loop(0).make_worker("helper");
  bool later = false;
  disk.crash_at(disk.operations());
  worker->submit([&] { static_cast<void>(disk.make_dirs("a")); }, [] {});
  worker->submit([&] { later = true; }, [] {});
  EXPECT_THROW(world.run_until_idle(), Crashed);
  EXPECT_TRUE(world.is_off());
  world.run_for(1h);
  EXPECT_FALSE(later);
}

}  // namespace
}  // namespace sluice::sim
