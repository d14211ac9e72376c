#include "runtime/loop_harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "runtime/real_loop.h"
#include "runtime/turn_hooks.h"
#include "sim/world.h"

namespace sluice::runtime {
namespace {

// Lives on the loop under test, so that a test has one thread and waits for nothing but events.
class RealClient final : public TestClient, SocketHandler {
 public:
  RealClient(Loop& loop, const Endpoint& endpoint) : loop_(loop) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    ::inet_pton(AF_INET, endpoint.address.c_str(), &address.sin_addr);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    socket_ = {fd};
    loop_.attach(socket_, *this);
  }
  ~RealClient() override { loop_.close(socket_); }

  void send(Bytes bytes) override {
    append(unsent_, bytes);
    on_writable();
  }
  [[nodiscard]] Bytes received() const override { return received_; }
  [[nodiscard]] bool ended() const override { return ended_; }
  void pause_reading() override {
    interest_.read = false;
    loop_.watch(socket_, interest_);
  }
  void resume_reading() override {
    interest_.read = true;
    loop_.watch(socket_, interest_);
  }

 private:
  void on_readable() override {
    std::array<std::byte, 65536> chunk;
    const auto got = loop_.receive(socket_, chunk);
    append(received_, Bytes(chunk).first(got.bytes));
    if (got.state != Transfer::State::closed) return;
    ended_ = true;
    pause_reading();
  }
  void on_writable() override {
    if (sent_ < unsent_.size()) {
      const auto rest = Bytes(unsent_).subspan(sent_);
      sent_ += loop_.send(socket_, {&rest, 1}).bytes;
    }
    interest_.write = sent_ < unsent_.size();
    loop_.watch(socket_, interest_);
  }

  Loop& loop_;
  Socket socket_;
  Interest interest_;
  Buffer unsent_;
  std::size_t sent_ = 0;
  Buffer received_;
  bool ended_ = false;
};

class RealHarness final : public LoopHarness, TurnHook {
 public:
  Loop& loop() override { return *loop_; }

  bool run_until(std::function<bool()> done) override {
    if (done()) return true;
    done_ = std::move(done);
    is_done_ = false;
    const auto guard = loop_->run_after(std::chrono::seconds(60), [this] { loop_->stop(); });
    loop_->add_turn_hook(*this, TurnPhase::send);
    loop_->run();
    loop_->remove_turn_hook(*this);
    loop_->cancel(guard);
    return is_done_;
  }

  std::unique_ptr<TestClient> connect(const Endpoint& endpoint) override {
    return std::make_unique<RealClient>(*loop_, endpoint);
  }

 private:
  void on_turn_end() override {
    if (is_done_ || !done_()) return;
    is_done_ = true;
    loop_->stop();
  }

  std::unique_ptr<RealLoop> loop_ = RealLoop::create();
  std::function<bool()> done_;
  bool is_done_ = false;
};

class SimTestClient final : public TestClient {
 public:
  explicit SimTestClient(std::unique_ptr<sim::SimClient> client) : client_(std::move(client)) {}
  void send(Bytes bytes) override { client_->send(bytes); }
  [[nodiscard]] Bytes received() const override { return client_->received(); }
  [[nodiscard]] bool ended() const override { return client_->ended(); }
  void pause_reading() override { client_->pause_reading(); }
  void resume_reading() override { client_->resume_reading(); }

 private:
  std::unique_ptr<sim::SimClient> client_;
};

class SimHarness final : public LoopHarness {
 public:
  explicit SimHarness(std::uint64_t seed) : world_(seed, 1) {}
  Loop& loop() override { return world_.loop(0); }
  bool run_until(std::function<bool()> done) override { return world_.run_until(std::move(done)); }
  std::unique_ptr<TestClient> connect(const Endpoint& endpoint) override {
    auto client = world_.connect(endpoint);
    EXPECT_TRUE(client) << client.error().text;
    return std::make_unique<SimTestClient>(std::move(*client));
  }

 private:
  sim::SimWorld world_;
};

}  // namespace

std::unique_ptr<LoopHarness> make_real_harness() { return std::make_unique<RealHarness>(); }
std::unique_ptr<LoopHarness> make_sim_harness(std::uint64_t seed) {
  return std::make_unique<SimHarness>(seed);
}

}  // namespace sluice::runtime
