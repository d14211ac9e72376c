// What administrators see of a connection, and do to it.

#include "mqtt/connection.h"
#include "mqtt/loss.h"

namespace sluice::mqtt {

const hub::LagLimits* Connection::lag_limits() const {
  const hub::LagLimits& lag = session_.limits().lag;
  return lag.is_set() ? &lag : nullptr;
}

void Connection::on_lost(hub::Loss why, std::uint64_t offsets) {
  if (session_.stored_uid() != 0) return session_.note_lost(why, offsets);
  add_loss(context_.lost[self_.index], why, offsets);
}

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
  if (const auto found = context_.lost.find(self_.index); found != context_.lost.end())
    state.lost = found->second;
  return state;
}

ClientState Connection::describe() const {
  ClientState state = summary();
  if (subscriber_.valid()) state.subscriber = context_.hub.describe(subscriber_);
  return state;
}

}  // namespace sluice::mqtt
