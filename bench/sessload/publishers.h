#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "sessload/link.h"
#include "sessload/messages.h"
#include "sessload/options.h"

namespace sessload {

// Connections that publish for all sessions in turn. Session n is published for by the publisher
// whose place is the remainder of n, counted from the first, by their number. So each session has
// one, which is what the order of its messages depends on.
class Publishers {
 public:
  // `key`: that of the first one in epoll.
  Publishers(const Options& options, int epoll, std::uint32_t key);

  void open();
  [[nodiscard]] bool are_open() const { return all_.front().link.is_open(); }
  [[nodiscard]] bool are_connected() const { return connected_ == all_.size(); }
  [[nodiscard]] bool are_done() const { return acknowledged_ == options_.messages(); }
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }

  // Publishes what is due after `elapsed_s` seconds, or, without a rate, what the windows allow.
  void publish(double elapsed_s);
  void on_event(std::uint32_t key, std::uint32_t events, std::vector<char>& buffer);

 private:
  struct Publisher {
    Link link;
    bool connected = false;
    std::uint32_t sessions = 0;
    std::uint64_t sent = 0;
    std::uint64_t acknowledged = 0;
  };

  void on_packet(Publisher& publisher, const Packet& packet);
  void on_puback(Publisher& publisher, const Packet& packet);
  [[nodiscard]] std::uint64_t left(const Publisher& publisher) const;
  [[nodiscard]] std::uint64_t allowed(const Publisher& publisher) const;
  void publish(Publisher& publisher, std::uint64_t size);
  void put_publish(Publisher& publisher);

  const Options& options_;
  Messages messages_;
  int epoll_;
  std::uint32_t key_;
  std::vector<Publisher> all_;
  std::size_t connected_ = 0;
  std::uint64_t acknowledged_ = 0;
};

}  // namespace sessload
