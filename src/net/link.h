#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "net/byte_stream.h"
#include "net/handshake_queue.h"
#include "net/proxy_stream.h"
#include "net/tls.h"
#include "net/transport.h"
#include "net/websocket.h"
#include "runtime/loop.h"

namespace sluice::net {

// What the links of a front end on one shard share.
struct LinkContext {
  LinkContext(runtime::Loop& l, Metrics& m, std::string_view p, AllowedOrigins o)
      : loop(l),
        metrics(m),
        protocol(p),
        origins(std::move(o)),
        handshakes(std::make_shared<HandshakeQueue>(l)) {}

  runtime::Loop& loop;
  Metrics& metrics;
  std::string protocol;  // "mqtt", for log and metrics
  AllowedOrigins origins;
  std::shared_ptr<HandshakeQueue> handshakes;
  std::shared_ptr<const TlsContext> tls;  // of new connections
  TlsScratch scratch;
  LogLimit log_limit;
};

// A channel's layers: lies between the events of a socket and their handler. The handler drives:
// what it receives and sends goes through the layers, and handshakes go on as it tries to receive.
//
// Life: after close() it must live until the next turn, since it may be in a call.
class Link final : public runtime::SocketHandler, private HandshakeQueue::Waiter {
 public:
  Link(std::shared_ptr<LinkContext> context, runtime::Socket socket, const Carriage& carriage);
  ~Link() { SLUICE_ASSERT(closed_); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void attach(runtime::SocketHandler& handler);
  void watch(runtime::Interest interest);
  runtime::Transfer receive(MutableBytes into);
  runtime::Transfer send(std::span<const Bytes> pieces);
  void close();
  [[nodiscard]] bool encrypted() const { return tls_ != nullptr; }
  [[nodiscard]] Transport transport() const { return carriage_.transport; }
  [[nodiscard]] std::string certificate_name() const;
  [[nodiscard]] runtime::Endpoint peer() const;

  void on_readable() override;
  void on_writable() override;

 private:
  class SocketStream final : public ByteStream {
   public:
    SocketStream(runtime::Loop& loop, runtime::Socket socket) : loop_(loop), socket_(socket) {}
    runtime::Transfer receive(MutableBytes into) override { return loop_.receive(socket_, into); }
    runtime::Transfer send(std::span<const Bytes> pieces) override {
      return loop_.send(socket_, pieces);
    }
    [[nodiscard]] bool has_more() const override { return false; }
    [[nodiscard]] bool open() const override { return true; }
    [[nodiscard]] bool has_unsent() const override { return false; }
    void flush() override {}
    void finish() override {}
    [[nodiscard]] const Failure& failure() const override { return failure_; }

   private:
    runtime::Loop& loop_;
    runtime::Socket socket_;
    Failure failure_;
  };

  void on_handshake_turn() override { serve_readable(); }
  void serve_readable();
  void serve_again();
  void watch_socket();
  void on_timeout();
  void note_progress(bool peer_has_closed);
  void count_handshake();
  void report(const Failure& failure);
  [[nodiscard]] ByteStream& below_tls() {
    return proxy_ ? static_cast<ByteStream&>(*proxy_) : bare_;
  }
  [[nodiscard]] std::string_view layer_under_way() const;

  std::shared_ptr<LinkContext> context_;
  runtime::Socket socket_;
  Carriage carriage_;
  SocketStream bare_;
  std::unique_ptr<ProxyStream> proxy_;
  std::unique_ptr<TlsStream> tls_;
  std::unique_ptr<WebSocketStream> websocket_;
  ByteStream& top_;
  runtime::SocketHandler* handler_ = nullptr;
  runtime::Interest wanted_;                           // by the handler
  runtime::Interest watched_;                          // of the socket
  runtime::TimerId timeout_ = runtime::TimerId::none;  // until all layers are open
  bool posted_ = false;
  bool tls_counted_ = false;
  bool failed_ = false;  // reported; nothing more is received
  bool closed_ = false;
};

}  // namespace sluice::net
