#include "net/listeners.h"

#include "base/assert.h"
#include "net/link.h"

namespace sluice::net {

Listeners::Listeners(runtime::Loop& loop, Metrics& metrics, const Options& options)
    : context_(std::make_shared<LinkContext>(loop, metrics, options.protocol, options.origins)) {}

Listeners::~Listeners() { close(); }

void Listeners::set_tls(std::shared_ptr<const TlsContext> tls) { context_->tls = std::move(tls); }

Result<runtime::Endpoint> Listeners::listen(const runtime::Endpoint& endpoint,
                                            const Carriage& carriage, ChannelHandler& handler) {
  SLUICE_ASSERT(!has_tls(carriage.transport) || context_->tls);
  doors_.emplace_back(*this, carriage, handler);
  auto bound = context_->loop.listen(endpoint, doors_.back());
  if (!bound) doors_.pop_back();
  return bound;
}

void Listeners::close() {
  for (Door& door : doors_) context_->loop.unlisten(door);
  doors_.clear();
}

Channel Listeners::channel_of(runtime::Socket socket, const Carriage& carriage) {
  if (carriage.transport == Transport::tcp && !carriage.proxy_protocol) return Channel(socket);
  return {socket, std::make_unique<Link>(context_, socket, carriage)};
}

}  // namespace sluice::net
