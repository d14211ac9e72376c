#include "net/listeners.h"

namespace sluice::net {

Listeners::Listeners(runtime::Loop& loop, ChannelHandler& handler)
    : loop_(loop), handler_(handler) {}

Listeners::~Listeners() { close(); }

Result<runtime::Endpoint> Listeners::listen(const runtime::Endpoint& endpoint,
                                            Transport transport) {
  doors_.emplace_back(*this, transport);
  auto bound = loop_.listen(endpoint, doors_.back());
  if (!bound) doors_.pop_back();
  return bound;
}

void Listeners::close() {
  for (Door& door : doors_) loop_.unlisten(door);
  doors_.clear();
}

void Listeners::accept(runtime::Socket socket, Transport /*transport*/) {
  handler_.on_accept(Channel(socket));
}

}  // namespace sluice::net
