#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "hub/handle.h"
#include "mqtt/listener.h"
#include "mqtt/session.h"
#include "runtime/loop.h"

namespace sluice::mqtt {

struct ConnectionContext;

// A listener on one shard: what its connections share, and those that wait because all of them
// together publish too much.
//
// Shard: its context's, which owns it.
// Bound: a connection waits once; those that are gone meanwhile are forgotten when they are more
//        than those there are.
class ListenerContext {
 public:
  ListenerContext(ConnectionContext& shard, std::shared_ptr<Listener> listener);
  ~ListenerContext();
  ListenerContext(const ListenerContext&) = delete;
  ListenerContext& operator=(const ListenerContext&) = delete;

  [[nodiscard]] Listener& listener() { return *listener_; }
  [[nodiscard]] const Limits& limits() const { return listener_->options().limits; }
  [[nodiscard]] SessionContext& session() { return session_; }

  // Whether a message of `bytes` may be published by a client that has used `client` of its rates;
  // then it is counted there, and noted here.
  bool admit(RateUse& client, std::size_t bytes);
  // Counts what was noted since the last call for all shards: once per read of a connection.
  void settle();
  // Calls on_rate() of a connection that was not admitted when there is room again for all, in the
  // order of these calls.
  void wait_for_room(hub::Handle connection);

  Gauge& connections;

 private:
  [[nodiscard]] bool has_room() const;
  void serve_waiting();
  void serve_later();
  void forget_gone();

  ConnectionContext& shard_;
  std::shared_ptr<Listener> listener_;
  SessionContext session_;
  std::uint64_t noted_messages_ = 0;
  std::uint64_t noted_bytes_ = 0;
  std::deque<hub::Handle> waiting_;
  runtime::TimerId timer_ = runtime::TimerId::none;
  bool serving_ = false;  // those that wait; nobody else is admitted while some do
};

}  // namespace sluice::mqtt
