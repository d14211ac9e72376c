#include "net/link.h"

#include <fmt/format.h>

#include <utility>

namespace sluice::net {

namespace {

constexpr Logger logger("net");

using runtime::Transfer;

std::string_view to_string(Failure::Kind kind) {
  switch (kind) {
    case Failure::Kind::none:
      return "none";
    case Failure::Kind::closed:
      return "closed";
    case Failure::Kind::timeout:
      return "timeout";
    case Failure::Kind::client_certificate:
      return "client_certificate";
    case Failure::Kind::alert:
      return "alert";
    case Failure::Kind::tls:
      return "tls";
    case Failure::Kind::proxy:
      return "proxy";
    case Failure::Kind::upgrade:
      return "upgrade";
    case Failure::Kind::frame:
      return "frame";
  }
  return "none";
}

}  // namespace

std::string_view to_string(Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::tls:
      return "tls";
    case Transport::websocket:
      return "websocket";
    case Transport::websocket_tls:
      return "websocket_tls";
  }
  return "tcp";
}

Link::Link(std::shared_ptr<LinkContext> context, runtime::Socket socket, const Carriage& carriage)
    : context_(std::move(context)),
      socket_(socket),
      carriage_(carriage),
      bare_(context_->loop, socket),
      proxy_(carriage.proxy_protocol ? std::make_unique<ProxyStream>(bare_) : nullptr),
      tls_(has_tls(carriage.transport)
               ? std::make_unique<TlsStream>(context_->tls, context_->scratch, below_tls())
               : nullptr),
      websocket_(has_websocket(carriage.transport)
                     ? std::make_unique<WebSocketStream>(
                           tls_ ? static_cast<ByteStream&>(*tls_) : below_tls(), context_->origins)
                     : nullptr),
      top_(websocket_ ? static_cast<ByteStream&>(*websocket_)
           : tls_     ? static_cast<ByteStream&>(*tls_)
                      : below_tls()) {}

void Link::attach(runtime::SocketHandler& handler) {
  handler_ = &handler;
  context_->loop.attach(socket_, *this);
  timeout_ = context_->loop.run_after(carriage_.handshake_timeout, [this] { on_timeout(); });
}

// --- events of the socket

void Link::on_readable() {
  const bool shaking_hands = tls_ && !tls_->established();
  if (shaking_hands && !context_->handshakes->may_step(*this)) return watch_socket();
  serve_readable();
}

void Link::serve_readable() {
  if (wanted_.read) handler_->on_readable();
  watch_socket();
}

void Link::on_writable() {
  top_.flush();
  if (wanted_.write && !top_.has_unsent()) handler_->on_writable();
  watch_socket();
}

// In a turn of its own: each turn has its share.
void Link::serve_again() {
  if (std::exchange(posted_, true)) return;
  context_->loop.post([this] {
    posted_ = false;
    if (!closed_) failed_ ? serve_readable() : on_readable();
  });
}

void Link::watch_socket() {
  if (closed_) return;
  const bool in_queue = HandshakeQueue::is_waiting(*this);
  const bool has_more =
      failed_ || (!in_queue && (top_.has_more() || (proxy_ && proxy_->has_more())));
  if (wanted_.read && has_more) serve_again();
  // What cannot be sent yet waits for the handshake, that is for input.
  const runtime::Interest needed{.read = wanted_.read && !in_queue,
                                 .write = top_.has_unsent() || (wanted_.write && top_.open())};
  if (needed == watched_) return;
  watched_ = needed;
  context_->loop.watch(socket_, needed);
}

void Link::on_timeout() {
  timeout_ = runtime::TimerId::none;
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(carriage_.handshake_timeout).count();
  report({Failure::Kind::timeout,
          fmt::format("{} was not done within {} s", layer_under_way(), seconds)});
  serve_again();
}

std::string_view Link::layer_under_way() const {
  if (proxy_ && !proxy_->open()) return "proxy protocol: the header";
  if (tls_ && !tls_->established()) return "tls: the handshake";
  return "websocket: the handshake";
}

// --- calls of the handler

void Link::watch(runtime::Interest interest) {
  wanted_ = interest;
  watch_socket();
}

Transfer Link::receive(MutableBytes into) {
  if (failed_) return {Transfer::State::closed, 0};
  const Transfer got = top_.receive(into);
  note_progress(got.state == Transfer::State::closed);
  watch_socket();
  return got;
}

Transfer Link::send(std::span<const Bytes> pieces) {
  if (failed_) return {Transfer::State::closed, 0};
  const Transfer sent = top_.send(pieces);
  watch_socket();
  return sent;
}

void Link::close() {
  closed_ = true;
  context_->handshakes->leave(*this);
  context_->loop.cancel(std::exchange(timeout_, runtime::TimerId::none));
  top_.finish();
  context_->loop.close(socket_);
}

// --- what there is to tell

void Link::note_progress(bool peer_has_closed) {
  if (tls_ && tls_->established() && !std::exchange(tls_counted_, true)) count_handshake();
  const bool was_opening = timeout_ != runtime::TimerId::none;
  for (const ByteStream* layer :
       {static_cast<const ByteStream*>(proxy_.get()), static_cast<const ByteStream*>(tls_.get()),
        static_cast<const ByteStream*>(websocket_.get())})
    if (layer && layer->failure().kind != Failure::Kind::none) return report(layer->failure());
  if (peer_has_closed && was_opening)
    return report({Failure::Kind::closed, "closed by the client during the handshake"});
  if (was_opening && top_.open())
    context_->loop.cancel(std::exchange(timeout_, runtime::TimerId::none));
}

void Link::count_handshake() {
  context_->metrics
      .counter("sluice_tls_handshakes_total", "TLS handshakes that came to an end",
               fmt::format("protocol=\"{}\",version=\"{}\",resumed=\"{}\"", context_->protocol,
                           tls_->version(), tls_->resumed()))
      .add();
}

void Link::report(const Failure& failure) {
  if (std::exchange(failed_, true)) return;
  context_->loop.cancel(std::exchange(timeout_, runtime::TimerId::none));
  context_->metrics
      .counter("sluice_channel_failures_total",
               "Connections ended by the PROXY protocol, TLS or WebSocket, by reason",
               fmt::format("protocol=\"{}\",transport=\"{}\",reason=\"{}\"", context_->protocol,
                           to_string(carriage_.transport), to_string(failure.kind)))
      .add();
  if (failure.kind == Failure::Kind::closed) return;  // port scans and health checks
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      context_->loop.now().time_since_epoch());
  if (!context_->log_limit.allow(now.count())) return;
  logger.warn("connection refused", {{"protocol", context_->protocol},
                                     {"transport", to_string(carriage_.transport)},
                                     {"peer", runtime::to_string(peer())},
                                     {"reason", failure.text},
                                     {"suppressed", context_->log_limit.take_suppressed()}});
}

runtime::Endpoint Link::peer() const {
  return proxy_ && proxy_->client() ? *proxy_->client() : context_->loop.peer_endpoint(socket_);
}

std::string Link::certificate_name() const { return tls_ ? tls_->certificate_name() : ""; }

}  // namespace sluice::net
