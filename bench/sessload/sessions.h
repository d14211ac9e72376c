#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "sessload/link.h"
#include "sessload/messages.h"
#include "sessload/options.h"

namespace sessload {

using Clock = std::chrono::steady_clock;

// What all sessions together got.
struct Taken {
  std::uint64_t messages = 0;
  std::uint64_t missing = 0;  // also those that came after later ones, which count as repeated, too
  std::uint64_t repeated = 0;
  std::uint64_t dup_flags = 0;
  Clock::time_point first{};
  Clock::time_point last{};
};

// The sessions of a run, each with at most one connection, in the order of their numbers: away,
// connected, gone again. Their keys in epoll are their places.
class Sessions {
 public:
  Sessions(const Options& options, int epoll);

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(all_.size()); }
  [[nodiscard]] bool are_connected() const { return ready_ == all_.size(); }
  [[nodiscard]] bool are_gone() const { return gone_ == all_.size(); }
  [[nodiscard]] std::uint32_t sockets_max() const { return sockets_max_; }
  [[nodiscard]] Taken taken() const;

  // Connects as many as the bounds allow.
  void open();
  void on_event(std::uint32_t key, std::uint32_t events, std::vector<char>& buffer);

  // Those that are slow acknowledge what is due; to be called ten times a second.
  void acknowledge_some();
  // They are slow no more.
  void hurry();

 private:
  enum class Stage : std::uint8_t { away, connecting, subscribing, taking, leaving, gone };

  struct Session {
    Link link;
    Stage stage = Stage::away;
    std::uint32_t next = 0;             // sequence number that is to come
    std::vector<std::uint16_t> held{};  // packet ids that are not acknowledged yet
  };

  [[nodiscard]] std::uint32_t number_of(const Session& session) const;
  [[nodiscard]] std::string name_of(const Session& session) const;
  [[nodiscard]] std::string connect_of(const Session& session) const;
  std::string subscribe_of(const Session& session);

  void on_packet(Session& session, const Packet& packet);
  void on_connack(Session& session, const Packet& packet);
  void on_suback(Session& session, const Packet& packet);
  void on_ready(Session& session);
  void on_publish(Session& session, const Packet& packet);
  void note(Session& session, std::uint32_t sequence);
  void on_closed(Session& session);

  static void acknowledge(Session& session, std::size_t most);
  static void acknowledge_now(Session& session, std::size_t most);
  static void leave(Session& session);

  const Options& options_;
  Messages messages_;
  int epoll_;
  std::vector<Session> all_;
  bool slow_;
  std::uint64_t steps_ = 0;   // of acknowledge_some()
  std::uint32_t opened_ = 0;  // so far, in their order
  std::uint32_t ready_ = 0;   // so far
  std::uint32_t gone_ = 0;
  std::uint32_t sockets_max_ = 0;
  Taken taken_;  // missing: gaps only
};

}  // namespace sessload
