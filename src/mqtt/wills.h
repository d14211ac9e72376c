#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "hub/hub.h"
#include "hub/slots.h"
#include "mqtt/counters.h"
#include "mqtt/options.h"
#include "mqtt/timer_wheel.h"
#include "mqtt/will.h"
#include "runtime/loop.h"

namespace sluice::sessions {
class Sessions;
}

namespace sluice::mqtt {

// The wills of connections that are gone, until they are published: at once, or when their delay is
// over.
//
// Shard: that of the connections. A will that waits keeps the client id claimed (Hub::claim), so
//        that a new connection of the client, on whatever shard, finds it here.
// Time:  whole seconds, late by up to two, never early.
// Bound: options.wills_waiting_max and wills_bytes_max. Beyond them a will does not wait for its
//        delay, and one that finds no room in the hub is dropped and counted.
class Wills final : public hub::PublisherSink {
 public:
  Wills(runtime::Loop& loop, hub::Hub& hub, const Options& options, Counters& counters);
  ~Wills();
  Wills(const Wills&) = delete;
  Wills& operator=(const Wills&) = delete;

  // Of a connection that has ended and holds `client_id`, which is released here when the will is
  // published.
  void leave(std::string client_id, std::unique_ptr<StoredWill> will);
  // Of a session whose connection an earlier process of the hub has lost: to be published at `due`.
  void adopt(const std::string& client_id, std::unique_ptr<StoredWill> will);
  // Where the wills of stored sessions are kept as well.
  void set_sessions(sessions::Sessions* sessions) { sessions_ = sessions; }
  // Another connection has claimed the client id of this session: the will is published if the
  // session ends thereby, else forgotten.
  void on_taken_over(std::uint64_t session, hub::Claim newer);

  // The clock, in seconds; on_second() at least once in each while there are wills that wait.
  void start(std::uint32_t now_s);
  void on_second(std::uint32_t now_s);
  [[nodiscard]] bool waiting() const { return waiting_.size() > 0; }
  // The server stops: publishes all, now, but those of sessions that go on after the stop.
  void publish_all();

  void on_published(std::uint64_t) override {}
  void on_publish_failed(std::uint64_t sequence, const Error& error) override;
  void on_room() override;

 private:
  struct Waiting {
    std::string client_id;
    std::unique_ptr<StoredWill> will;
    std::uint32_t due_s = 0;
  };

  [[nodiscard]] bool has_place(const StoredWill& will) const;
  void on_due(hub::Handle handle, std::uint32_t second);
  std::unique_ptr<StoredWill> take(hub::Handle handle);
  void publish_waiting(hub::Handle handle);
  void publish(std::unique_ptr<StoredWill> will);
  // False: there is no room.
  [[nodiscard]] bool try_publish(const StoredWill& will);

  runtime::Loop& loop_;
  hub::Hub& hub_;
  const Options& options_;
  sessions::Sessions* sessions_ = nullptr;
  Counters& counters_;
  hub::Handle publisher_;  // made with the first will
  std::uint64_t next_sequence_ = 1;
  hub::Slots<Waiting> waiting_;
  std::unordered_map<std::uint64_t, hub::Handle> by_session_;
  TimerWheel wheel_;
  std::deque<std::unique_ptr<StoredWill>> without_room_;  // due, in order
  std::size_t bytes_ = 0;       // of those that wait and those without room
  hub::Properties properties_;  // scratch
};

}  // namespace sluice::mqtt
