#include "net/listeners.h"

#include "base/assert.h"
#include "net/link.h"

namespace sluice::net {

Listeners::Listeners(runtime::Loop& loop, ChannelHandler& handler, Metrics& metrics,
                     const Options& options)
    : handler_(handler),
      context_(std::make_shared<LinkContext>(loop, metrics, options.protocol,
                                             options.handshake_timeout, options.origins)) {}

Listeners::~Listeners() { close(); }

void Listeners::set_tls(std::shared_ptr<const TlsContext> tls) { context_->tls = std::move(tls); }

Result<runtime::Endpoint> Listeners::listen(const runtime::Endpoint& endpoint,
                                            Transport transport) {
  SLUICE_ASSERT(!has_tls(transport) || context_->tls);
  doors_.emplace_back(*this, transport);
  auto bound = context_->loop.listen(endpoint, doors_.back());
  if (!bound) doors_.pop_back();
  return bound;
}

void Listeners::close() {
  for (Door& door : doors_) context_->loop.unlisten(door);
  doors_.clear();
}

void Listeners::accept(runtime::Socket socket, Transport transport) {
  if (transport == Transport::tcp) return handler_.on_accept(Channel(socket));
  handler_.on_accept(Channel(socket, std::make_unique<Link>(context_, socket, transport)));
}

}  // namespace sluice::net
