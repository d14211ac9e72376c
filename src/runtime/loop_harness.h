#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "runtime/loop.h"

namespace sluice::runtime {

// The client's end of a connection in a test: sends what it is given as room comes, keeps what
// arrives.
class TestClient {
 public:
  virtual ~TestClient() = default;
  virtual void send(Bytes bytes) = 0;
  [[nodiscard]] virtual Bytes received() const = 0;
  [[nodiscard]] virtual bool ended() const = 0;  // the server closed, or the connection was reset
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
};

// A loop under test and a way to run it.
class LoopHarness {
 public:
  virtual ~LoopHarness() = default;
  virtual Loop& loop() = 0;
  // Runs the loop until `done` says so, asked after each turn. False: it takes far too long.
  virtual bool run_until(std::function<bool()> done) = 0;
  virtual std::unique_ptr<TestClient> connect(const Endpoint& endpoint) = 0;
  [[nodiscard]] virtual Endpoint any_port() const { return {"127.0.0.1", 0}; }
};

std::unique_ptr<LoopHarness> make_real_harness();
std::unique_ptr<LoopHarness> make_sim_harness(std::uint64_t seed);

}  // namespace sluice::runtime
