#include "net/channel.h"

#include <utility>

#include "base/assert.h"
#include "net/link.h"

namespace sluice::net {

Channel::Channel() = default;
Channel::Channel(runtime::Socket socket) : socket_(socket) {}
Channel::Channel(runtime::Socket socket, std::unique_ptr<Link> link)
    : link_(std::move(link)), socket_(socket) {}
Channel::Channel(Channel&&) noexcept = default;
Channel& Channel::operator=(Channel&&) noexcept = default;
Channel::~Channel() = default;

void Channel::attach(runtime::Loop& loop, runtime::SocketHandler& handler) {
  if (link_) return link_->attach(handler);
  loop.attach(socket_, handler);
}

void Channel::watch(runtime::Loop& loop, runtime::Interest interest) {
  if (link_) return link_->watch(interest);
  loop.watch(socket_, interest);
}

runtime::Transfer Channel::receive_layered(MutableBytes into) { return link_->receive(into); }

runtime::Transfer Channel::send_layered(std::span<const Bytes> pieces) {
  return link_->send(pieces);
}

void Channel::close(runtime::Loop& loop) {
  if (!link_) return loop.close(socket_);
  link_->close();
  // Layers may be in a call on the way here.
  loop.post([ended = std::move(link_)] {});
}

bool Channel::encrypted() const { return link_ && link_->encrypted(); }

Transport Channel::transport() const { return link_ ? link_->transport() : Transport::tcp; }

runtime::Endpoint Channel::peer(const runtime::Loop& loop) const {
  return link_ ? link_->peer() : loop.peer_endpoint(socket_);
}

std::string Channel::certificate_name() const {
  return link_ ? link_->certificate_name() : std::string();
}

}  // namespace sluice::net
