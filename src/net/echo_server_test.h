#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "net/listeners.h"
#include "sim/world.h"

namespace sluice::net {

// A connection that sends back what it receives. Like the front ends it reads its share once per
// event, and not at all while much is unsent.
class EchoConnection final : public runtime::SocketHandler {
 public:
  static constexpr std::size_t share = 3000;
  static constexpr std::size_t unsent_max = 10'000;

  EchoConnection(runtime::Loop& loop, Channel channel) : loop_(loop), channel_(std::move(channel)) {
    channel_.attach(loop_, *this);
  }
  ~EchoConnection() { end(); }

  void on_readable() override {
    ++events;
    Buffer in(share);
    const auto got = channel_.receive(loop_, in);
    if (got.state == runtime::Transfer::State::closed) return end();
    received += got.bytes;
    certificate_name = channel_.certificate_name();
    peer = runtime::to_string(channel_.peer(loop_));
    append(out_, Bytes(in).first(got.bytes));
    flush();
  }
  void on_writable() override { flush(); }
  // Sends without having been asked.
  void say(std::string_view text) {
    append(out_, as_bytes(text));
    flush();
  }
  void end() {
    if (!std::exchange(open, false)) return;
    channel_.close(loop_);
  }

  bool open = true;
  std::size_t events = 0;
  std::size_t received = 0;
  std::size_t unsent_peak = 0;
  std::string certificate_name;
  std::string peer;

 private:
  void flush() {
    if (!open) return;
    const Bytes rest = out_;
    if (!rest.empty()) {
      const auto sent = channel_.send(loop_, {&rest, 1});
      if (sent.state == runtime::Transfer::State::closed) return end();
      out_.erase_front(sent.bytes);
    }
    unsent_peak = std::max(unsent_peak, out_.size());
    channel_.watch(loop_, {.read = out_.size() < unsent_max, .write = !out_.empty()});
  }

  runtime::Loop& loop_;
  Channel channel_;
  Buffer out_;
};

// Listens by one transport on a simulated shard.
class EchoServer final : public ChannelHandler {
 public:
  explicit EchoServer(std::uint64_t seed, sim::SimWorld::Options options = {})
      : world(seed, 1, options), listeners(world.loop(0), metrics, {.protocol = "echo"}) {}
  ~EchoServer() {
    listeners.close();
    connections.clear();
    world.run_for(std::chrono::seconds(1));
  }

  runtime::Endpoint listen(Transport transport, bool proxy_protocol = false) {
    const Carriage carriage{.transport = transport, .proxy_protocol = proxy_protocol};
    return listeners.listen({"127.0.0.1", 0}, carriage, *this).value();
  }
  void on_accept(Channel channel) override {
    connections.push_back(std::make_unique<EchoConnection>(world.loop(0), std::move(channel)));
  }
  // The sum of all rows of a metric that contain `part`.
  int count(std::string_view metric, std::string_view part = "") {
    Metrics* const all = &metrics;
    const std::string text = Metrics::render({&all, 1});
    int sum = 0;
    for (std::size_t at = 0; (at = text.find(std::string("\n") += metric, at)) != std::string::npos;
         ++at) {
      const std::string row = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
      if (row.find(part) != std::string::npos) sum += std::stoi(row.substr(row.rfind(' ')));
    }
    return sum;
  }

  sim::SimWorld world;
  Metrics metrics;
  Listeners listeners;
  std::vector<std::unique_ptr<EchoConnection>> connections;
};

}  // namespace sluice::net
