#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sessload/packets.h"

namespace sessload {

// A connection: its socket, what has not been sent, and the packet that has not wholly come.
//
// epoll is level-triggered and tells of room to send only while something waits for it. A Fault
// when the system refuses a call.
class Link {
 public:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { close(); }

  static constexpr std::uint32_t loopback = 0x7f000001;

  // To the server at 127.0.0.1, from the loopback address `source`; `key` is what epoll says of it.
  // What is in out() by then is sent as soon as it is connected.
  void open(int epoll, std::uint32_t key, std::uint32_t port, std::uint32_t source);
  void close();
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

  std::string& out() { return out_; }  // is sent by flush()
  void flush();
  [[nodiscard]] bool waits_for_room() const { return event_.events != readable; }

  // Receives once, and calls `take` with each packet that is there. False: the server has closed.
  template <class Take>
  bool read(std::vector<char>& buffer, const Take& take) {
    std::string_view bytes;
    if (!receive(buffer, bytes)) return false;
    while (const auto packet = cut_packet(bytes)) take(*packet);
    in_.assign(bytes);
    return true;
  }

 private:
  static constexpr std::uint32_t readable = EPOLLIN;
  static constexpr std::uint32_t readable_or_writable = EPOLLIN | EPOLLOUT;

  // `bytes`: what was there before, and what has come.
  bool receive(std::vector<char>& buffer, std::string_view& bytes);
  void watch(std::uint32_t events);

  int fd_ = -1;
  int epoll_ = -1;
  epoll_event event_{};
  std::string in_;
  std::string out_;
};

}  // namespace sessload
