#pragma once

#include <memory>
#include <vector>

#include "kafka/handlers.h"
#include "kafka/outbox.h"
#include "kafka/traffic.h"
#include "net/channel.h"

namespace sluice::kafka {

class Connection;

// What a connection needs of its server. Both live on the same shard, the server longer.
class ConnectionHost {
 public:
  virtual Services& services() = 0;
  virtual Traffic& traffic() = 0;
  // Read into by one connection at a time, for the length of a call.
  virtual MutableBytes read_buffer() = 0;
  // Connection::flush() is called at the end of the turn.
  virtual void flush_later(std::shared_ptr<Connection> connection) = 0;
  virtual runtime::Endpoint advertised(const net::Channel& channel) = 0;
  virtual void on_closed(Connection& connection) = 0;

 protected:
  ~ConnectionHost() = default;
};

// One client's connection: cuts the input into requests, starts them in order and sends the answers
// in that order.
//
// A request that lies whole in the host's read buffer is handled there; the rest of a longer one is
// gathered in a buffer of exactly its size. The next request starts when the one before it was
// answered or has released the connection (produce requests do when all batches are with the
// stream), so batches keep their order and a long poll holds back what comes behind it.
//
// Bounds: requests under way (pipeline_max), response bytes not yet taken by the peer (unsent_max),
// and input behind a request that holds the connection: at most one read buffer. At a bound the
// socket is not read.
class Connection final : public runtime::SocketHandler,
                         public ReplySink,
                         public std::enable_shared_from_this<Connection> {
 public:
  static constexpr std::size_t pipeline_max = 64;
  static constexpr std::size_t unsent_max = 1024 * 1024;
  // Bytes of a request of somebody who must log in first.
  static constexpr std::size_t stranger_request_max = 64 * 1024;

  Connection(ConnectionHost& host, net::Channel channel);

  void start();
  void flush();
  void close();
  void refuse(Refusal refusal, std::string_view text) { on_refuse(refusal, text); }
  [[nodiscard]] runtime::TimePoint last_active() const { return last_active_; }

  void on_readable() override;
  void on_writable() override;

  void on_answer(RequestId request, Frame frame) override;
  void on_release(RequestId request) override;
  void on_cancel(RequestId request, Task task) override;
  void on_refuse(Refusal refusal, std::string_view text) override;

 private:
  struct Pending {
    bool released = false;
    bool answered = false;
    Frame answer;
    Task cancel;
  };

  runtime::Loop& loop() { return host_.services().loop; }
  [[nodiscard]] bool may_start() const;
  Pending* find(RequestId request);

  void read_frames();
  void read_rest_of_frame();
  Bytes run_requests(Bytes in);
  void run_request(Bytes frame);
  void run_bare_token(Bytes token);
  void dispatch_request(const Request& request);
  [[nodiscard]] std::size_t request_max();
  void refuse_unsupported(const RequestHeader& header);
  ReplyPath add_pending(const RequestHeader& header);
  void keep(Bytes rest);
  void resume();
  void resume_later();
  void update_interest();

  ConnectionHost& host_;
  net::Channel channel_;
  std::shared_ptr<Authentication> authentication_;
  const runtime::Endpoint advertised_;  // where this client reaches the server
  Buffer input_;                        // received, not handled yet: from the start of a frame on
  std::vector<Pending> pending_;
  std::uint64_t first_pending_ = 0;  // RequestId of pending_[0]
  Outbox outbox_;
  runtime::Interest interest_;
  runtime::TimePoint last_active_;
  bool open_ = true;
  bool running_ = false;  // within run_requests()
  bool resume_posted_ = false;
};

}  // namespace sluice::kafka
