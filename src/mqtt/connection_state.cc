// What administrators see of a connection, and do to it.

#include "mqtt/connection.h"

namespace sluice::mqtt {

void Connection::kick(std::string_view text) {
  session_.on_ended_by_server(Reason::administrative_action, text);
}

ClientState Connection::summary() const {
  ClientState state;
  session_.describe(state);
  state.peer = peer();
  state.listener = to_string(context_.loop.local_endpoint(channel_.socket()));
  state.transport = channel_.transport();
  const WallMs now_s = context_.loop.wall_ms() / 1000;
  state.connected_ms = (now_s - (context_.now_s() - connected_s_)) * 1000;
  state.bytes_waiting = unsent();
  state.is_lagging = lagging_;
  return state;
}

ClientState Connection::describe() const {
  ClientState state = summary();
  if (subscriber_.valid()) state.subscriber = context_.hub.describe(subscriber_);
  return state;
}

}  // namespace sluice::mqtt
