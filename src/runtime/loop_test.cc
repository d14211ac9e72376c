#include "runtime/loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "runtime/loop_harness.h"
#include "runtime/worker.h"

// The contract of Loop, kept by the real loop and, for several seeds, by the simulated one.
namespace sluice::runtime {
namespace {

using namespace std::chrono_literals;

struct Kind {
  const char* name;
  std::unique_ptr<LoopHarness> (*make)();
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class LoopContract : public testing::TestWithParam<Kind> {
 protected:
  Loop& loop() { return harness_->loop(); }
  bool run_until(std::function<bool()> done) { return harness_->run_until(std::move(done)); }
  // One turn at least.
  void run_a_turn() {
    bool turned = false;
    loop().post([&] { turned = true; });
    ASSERT_TRUE(run_until([&] { return turned; }));
  }

  std::unique_ptr<LoopHarness> harness_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(All, LoopContract,
                         testing::Values(Kind{"Real", [] { return make_real_harness(); }},
                                         Kind{"Sim1", [] { return make_sim_harness(1); }},
                                         Kind{"Sim2", [] { return make_sim_harness(2); }},
                                         Kind{"Sim3", [] { return make_sim_harness(3); }}),
                         [](const auto& kind) { return kind.param.name; });

// Sends back what it gets; reads no more while the client does not take it.
class EchoServer final : AcceptHandler {
 public:
  explicit EchoServer(Loop& loop, const Endpoint& at) : loop_(loop) {
    auto bound = loop.listen(at, *this);
    EXPECT_TRUE(bound) << bound.error().text;
    endpoint = *bound;
  }
  ~EchoServer() {
    loop_.unlisten(*this);
    connections_.clear();
  }

  Endpoint endpoint;
  std::size_t blocked = 0;  // how often a send found no room
  std::size_t closed = 0;
  std::size_t accepted() const { return connections_.size(); }

 private:
  struct Connection final : SocketHandler {
    Connection(EchoServer& server_in, Socket socket_in) : server(server_in), socket(socket_in) {
      server.loop_.attach(socket, *this);
    }
    ~Connection() {
      if (socket.valid()) server.loop_.close(socket);
    }

    void on_readable() override {
      buffer.resize(16384);
      const auto got = server.loop_.receive(socket, buffer);
      buffer.resize(got.bytes);
      sent = 0;
      if (got.state == Transfer::State::closed) {
        ++server.closed;
        server.loop_.close(std::exchange(socket, {}));
      } else {
        on_writable();
      }
    }
    void on_writable() override {
      const std::array pieces{Bytes(buffer).subspan(sent, (buffer.size() - sent) / 2),
                              Bytes(buffer).subspan(sent + (buffer.size() - sent) / 2)};
      if (sent < buffer.size()) {
        const auto result = server.loop_.send(socket, pieces);
        sent += result.bytes;
      }
      const bool left = sent < buffer.size();
      if (left) ++server.blocked;
      server.loop_.watch(socket, {.read = !left, .write = left});
    }

    EchoServer& server;
    Socket socket;
    Buffer buffer;
    std::size_t sent = 0;
  };

  void on_accept(Socket socket) override {
    connections_.push_back(std::make_unique<Connection>(*this, socket));
  }

  Loop& loop_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

Buffer numbered(std::size_t size) {
  Buffer bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
  return bytes;
}

bool equal(Bytes a, Bytes b) { return std::ranges::equal(a, b); }

TEST_P(LoopContract, BytesArriveInOrder) {
  EchoServer server(loop(), harness_->any_port());
  const auto client = harness_->connect(server.endpoint);
  client->send(as_bytes("hello, "));
  client->send(as_bytes("world"));
  ASSERT_TRUE(run_until([&] { return client->received().size() == 12; }));
  EXPECT_EQ(as_text(client->received()), "hello, world");
}

TEST_P(LoopContract, ABigTransferGoesThroughASlowReader) {
  EchoServer server(loop(), harness_->any_port());
  const auto client = harness_->connect(server.endpoint);
  const auto content = numbered(12 << 20);
  client->pause_reading();
  client->send(content);
  ASSERT_TRUE(run_until([&] { return server.blocked > 0; }))
      << "nobody reads, so sending has to stop";
  client->resume_reading();
  ASSERT_TRUE(run_until([&] { return client->received().size() == content.size(); }));
  EXPECT_TRUE(equal(client->received(), content));
}

TEST_P(LoopContract, AClientThatLeavesIsSeenAsClosed) {
  EchoServer server(loop(), harness_->any_port());
  auto client = harness_->connect(server.endpoint);
  client->send(as_bytes("x"));
  ASSERT_TRUE(run_until([&] { return client->received().size() == 1; }));
  client.reset();
  EXPECT_TRUE(run_until([&] { return server.closed == 1; }));
}

TEST_P(LoopContract, AfterUnlistenNothingIsAccepted) {
  auto server = std::make_unique<EchoServer>(loop(), harness_->any_port());
  const auto other = std::make_unique<EchoServer>(loop(), harness_->any_port());
  const auto endpoint = server->endpoint;
  const auto first = harness_->connect(endpoint);
  ASSERT_TRUE(run_until([&] { return server->accepted() == 1; }));
  server.reset();
  EXPECT_TRUE(run_until([&] { return first->ended(); }));
  const auto second = harness_->connect(other->endpoint);
  EXPECT_TRUE(run_until([&] { return other->accepted() == 1; })) << "the other listener goes on";
}

// Closes all connections of its group as soon as one of them can be read.
class ClosingServer final : public AcceptHandler {
 public:
  explicit ClosingServer(Loop& loop) : loop_(loop) {}

  void on_accept(Socket socket) override {
    auto& handler = handlers_.emplace_back(std::make_unique<Handler>(*this, socket));
    loop_.attach(socket, *handler);
    loop_.watch(socket, {.read = reading, .write = false});
  }
  void start_reading(Interest interest) {
    reading = interest.read;
    for (const auto& handler : handlers_) loop_.watch(handler->socket, interest);
  }

  std::size_t accepted() const { return handlers_.size(); }
  std::size_t calls = 0;
  bool reading = false;

 private:
  struct Handler final : SocketHandler {
    Handler(ClosingServer& server_in, Socket socket_in) : server(server_in), socket(socket_in) {}
    void on_readable() override { server.close_all(); }
    void on_writable() override { server.close_all(); }
    ClosingServer& server;
    Socket socket;
  };

  void close_all() {
    ++calls;
    for (const auto& handler : handlers_) loop_.close(handler->socket);
  }

  Loop& loop_;
  std::vector<std::unique_ptr<Handler>> handlers_;
};

TEST_P(LoopContract, AClosedSocketGetsNoEventNotEvenOfTheCurrentTurn) {
  ClosingServer server(loop());
  const auto endpoint = *loop().listen(harness_->any_port(), server);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(harness_->connect(endpoint));
    clients.back()->send(as_bytes("x"));
  }
  ASSERT_TRUE(run_until([&] { return server.accepted() == clients.size(); }));
  EXPECT_EQ(server.calls, 0u) << "reading was not asked for";
  server.start_reading({.read = true, .write = true});
  ASSERT_TRUE(run_until([&] { return std::ranges::all_of(clients, &TestClient::ended); }));
  EXPECT_EQ(server.calls, 1u);
  loop().unlisten(server);
}

TEST_P(LoopContract, EndpointsAreThoseOfTheConnection) {
  struct Server final : AcceptHandler {
    explicit Server(Loop& loop_in) : loop(loop_in) {}
    void on_accept(Socket socket) override {
      local = loop.local_endpoint(socket);
      peer = loop.peer_endpoint(socket);
      loop.close(socket);
    }
    Loop& loop;
    Endpoint local, peer;
  } server(loop());
  const auto endpoint = *loop().listen(harness_->any_port(), server);
  EXPECT_NE(endpoint.port, 0);
  const auto client = harness_->connect(endpoint);
  ASSERT_TRUE(run_until([&] { return client->ended(); }));
  EXPECT_EQ(server.local, endpoint);
  EXPECT_EQ(server.peer.address, "127.0.0.1");
  EXPECT_NE(server.peer.port, endpoint.port);
  loop().unlisten(server);
}

TEST_P(LoopContract, TimersRunInOrderOfTimeAndThenOfAdding) {
  std::vector<int> order;
  const auto start = loop().now();
  loop().run_at(start + 3ms, [&] { order.push_back(4); });
  loop().run_at(start + 1ms, [&] { order.push_back(1); });
  loop().run_at(start + 2ms, [&] { order.push_back(2); });
  loop().run_at(start + 2ms, [&] { order.push_back(3); });
  ASSERT_TRUE(run_until([&] { return order.size() == 4; }));
  EXPECT_EQ(order, (std::vector{1, 2, 3, 4}));
  EXPECT_GE(loop().now(), start + 3ms);
}

TEST_P(LoopContract, ACancelledTimerDoesNotRun) {
  bool ran = false;
  bool later = false;
  const auto timer = loop().run_after(2ms, [&] { ran = true; });
  loop().run_after(1ms, [&] { loop().cancel(timer); });
  loop().run_after(3ms, [&] { later = true; });
  ASSERT_TRUE(run_until([&] { return later; }));
  EXPECT_FALSE(ran);
  loop().cancel(timer);  // no effect, whoever has its place now
}

TEST_P(LoopContract, ATimerSetEarlierThanAllOthersIsNotLate) {
  bool ran = false;
  loop().run_after(1h, [] {});
  run_a_turn();
  loop().run_after(1ms, [&] { ran = true; });
  const auto start = loop().now();
  ASSERT_TRUE(run_until([&] { return ran; }));
  EXPECT_LT(loop().now(), start + 1min);
}

TEST_P(LoopContract, PostedTasksRunInOrderAndThoseThatTheyPostInALaterTurn) {
  struct CountTurns final : TurnHook {
    void on_turn_end() override { ++turns; }
    int turns = 0;
  } counter;
  loop().add_turn_hook(counter, TurnPhase::send);
  std::vector<int> order;
  int outer_turn = 0;
  int inner_turn = 0;
  loop().post([&] {
    order.push_back(1);
    outer_turn = counter.turns;
    loop().post([&] {
      order.push_back(3);
      inner_turn = counter.turns;
    });
  });
  loop().post([&] { order.push_back(2); });
  ASSERT_TRUE(run_until([&] { return order.size() == 3; }));
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
  EXPECT_EQ(inner_turn, outer_turn + 1);
  loop().remove_turn_hook(counter);
}

TEST_P(LoopContract, TurnHooksRunInOrderAtTheEndOfATurn) {
  struct Hook final : TurnHook {
    Hook(std::vector<int>& order_in, int number_in) : order(order_in), number(number_in) {}
    void on_turn_end() override { order.push_back(number); }
    std::vector<int>& order;
    int number;
  };
  std::vector<int> order;
  Hook first(order, 1);
  Hook second(order, 2);
  loop().add_turn_hook(first, TurnPhase::send);
  loop().add_turn_hook(second, TurnPhase::send);
  loop().post([&] { order.push_back(0); });
  ASSERT_TRUE(run_until([&] { return !order.empty(); }));
  EXPECT_EQ((std::vector(order.begin(), order.begin() + 3)), (std::vector{0, 1, 2}));
  loop().remove_turn_hook(first);
  order.clear();
  run_a_turn();
  EXPECT_FALSE(order.empty());
  EXPECT_EQ(std::ranges::count(order, 1), 0);
  loop().remove_turn_hook(second);
}

TEST_P(LoopContract, AWorkerRunsItsJobsInOrderAndTheirDoneOnTheLoop) {
  const auto worker = loop().make_worker("helper");
  std::vector<int> jobs;  // written by the worker until the last `done` has run
  std::vector<int> done;
  for (int i = 0; i < 20; ++i) {
    worker->submit([&jobs, i] { jobs.push_back(i); }, [&done, i] { done.push_back(i); });
  }
  ASSERT_TRUE(run_until([&] { return done.size() == 20; }));
  EXPECT_EQ(jobs, done);
  EXPECT_TRUE(std::ranges::is_sorted(jobs));
}

TEST_P(LoopContract, AWorkerThatEndsStillRunsWhatItHas) {
  int jobs = 0;
  int done = 0;
  auto worker = loop().make_worker("helper");
  for (int i = 0; i < 5; ++i) worker->submit([&] { ++jobs; }, [&] { ++done; });
  worker.reset();
  EXPECT_EQ(jobs, 5);
  EXPECT_TRUE(run_until([&] { return done == 5; }));
}

TEST(Endpoint, TextGoesThereAndBack) {
  for (const auto* text : {"127.0.0.1:1883", "[::1]:9092", "0.0.0.0:0", "unix:/run/hub.sock"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << endpoint.error().text;
    EXPECT_EQ(to_string(*endpoint), text);
  }
}

TEST(Endpoint, BadTextIsRefusedWithItsName) {
  for (const auto* text : {"", "127.0.0.1", "localhost:1883", "::1:1883", "127.0.0.1:70000",
                           "127.0.0.1:12x", "[1.2.3.4]:1"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(endpoint.error().code, Errc::invalid);
    EXPECT_NE(endpoint.error().text.find(text), std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::runtime
