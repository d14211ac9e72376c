#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/random.h"
#include "base/task.h"
#include "hub/hub.h"
#include "sessions/sessions.h"

namespace sluice::mqtt {

// An administrator ends the stored session of a client. If it is connected, its connection is ended
// first, and a client of MQTT 5 is told why; its will is published in any case, as the session is
// over. A client that comes meanwhile begins another session, or is ended as well.
//
// Shard:   that of `hub` and `sessions`, which outlive it; the client's may be any. It keeps itself
//          until it has answered.
// Failure: errors are those of Sessions; exists for a client that was back before its session was
//          gone, each time. Its connection has been ended then, too.
class SessionRemoval : public std::enable_shared_from_this<SessionRemoval> {
 public:
  static constexpr int attempts_max = 5;

  SessionRemoval(hub::Hub& hub, sessions::Sessions& sessions, Random random, std::string client_id,
                 Done<bool> done)
      : hub_(hub),
        sessions_(sessions),
        random_(random),
        client_id_(std::move(client_id)),
        done_(std::move(done)) {}
  // `done` gets false where nothing is stored; then a connection of the client is left alone.
  void start();

 private:
  void claim();
  void remove();
  void on_removed(Result<bool> removed);

  hub::Hub& hub_;
  sessions::Sessions& sessions_;
  Random random_;
  const std::string client_id_;
  Done<bool> done_;
  int attempts_ = 0;
  std::uint64_t claimant_ = 0;
  bool holds_id_ = false;  // until another one claims it
};

}  // namespace sluice::mqtt
