#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "access/access.h"
#include "base/bytes.h"
#include "hub/hub.h"
#include "mqtt/client_state.h"
#include "mqtt/connection_context.h"
#include "mqtt/session.h"
#include "net/channel.h"
#include "runtime/loop.h"
#include "sessions/sessions.h"

namespace sluice::mqtt {

// One client: its channel, the bytes on their way, and its session.
//
// Shard:  lives on its loop's. Owner: ConnectionContext::connections; it goes away in on_turn_end()
//         only, so no callback ever runs on a connection that is gone.
// Input:  is parsed in the server's read buffer; only a packet that is not complete, or could not
//         be taken yet, is kept here. Reading stops while the session waits, and while too many
//         answers wait for a client that does not read them.
// Output: one buffer, sent once per turn and when it is full. If limits.output_max bytes remain
//         even so, the subscriber lags. What comes in portions waits for more (kept_back.h).
class Connection final : public runtime::SocketHandler,
                         public hub::PublisherSink,
                         public hub::SubscriberSink,
                         private SessionHost {
 public:
  // `has_place`: it holds a place of the listener, which it gives back; else CONNECT is refused.
  Connection(ConnectionContext& context, std::uint8_t listener, net::Channel channel,
             bool has_place, std::uint64_t session_id);
  ~Connection() { leave_hub(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start(hub::Handle self);
  // Sends what there is. False: it is over and may be destroyed.
  bool on_turn_end();
  // The wheel has reached `second`.
  void on_second(std::uint32_t second);
  // The server goes down: says so to the client; no will.
  void stop();
  // What is kept back is sent when the turn ends.
  void send_kept_back();

  void on_readable() override;
  void on_writable() override { mark_dirty(); }
  void on_published(std::uint64_t up_to) override;
  void on_publish_failed(std::uint64_t sequence, const Error& error) override;
  void on_room() override;
  void on_rate();
  std::size_t on_records(const hub::DeliveryBatch& batch) override;
  void on_portions_end() override { send_kept_back(); }
  void on_lost(hub::Loss why, std::uint64_t offsets) override;
  [[nodiscard]] const hub::LagLimits* lag_limits() const override;
  [[nodiscard]] trace::Who who() const override;

  // For administrators.
  [[nodiscard]] bool connected() const { return session_.connected(); }
  [[nodiscard]] const std::string& client_id() const { return session_.client_id(); }
  [[nodiscard]] hub::Handle handle() const { return self_; }
  [[nodiscard]] ClientState summary() const;  // without `subscriber`
  [[nodiscard]] ClientState describe() const;
  // Ends it with DISCONNECT 0x98; its will is published.
  void kick(std::string_view text);

  // Of a stored session: saves what has moved since it was saved last; at once durable with `done`.
  void save_behind();
  void save_now(Done<void> done);

 private:
  Buffer& control_output() override;
  void log_in(const access::Login& login) override;
  std::unique_ptr<access::SaslServer> start_exchange(std::string_view mechanism) override;
  void step(access::SaslServer& exchange, std::string_view token) override;
  Result<void> check(const access::Principal& principal, access::Action action,
                     std::string_view resource) override;
  bool unrestricted(const access::Principal& principal) override;
  void claim(const std::string& client_id, hub::Claim claim) override;
  Result<void> publish(std::uint64_t sequence, const hub::Message& message) override;
  Result<void> publish_later(std::uint64_t sequence, const hub::Message& message,
                             std::uint32_t delay_s) override;
  void subscribe(std::uint32_t index, std::string_view filter,
                 const hub::SubscribeOptions& options) override;
  void replay(std::uint32_t index, std::string_view filter, const hub::SubscribeOptions& options,
              std::optional<std::string_view> from) override;
  std::string topics_of_replay(std::string_view filter) override;
  bool unsubscribe(std::string_view filter) override;
  bool has_filter(std::string_view filter) override;
  void settle(const hub::Ticket& ticket) override;
  void keep(const hub::Ticket& ticket) override;
  void on_unstored(std::string_view topic, Reason reason, std::string_view text) override;
  bool admit(RateUse& used, std::size_t bytes) override;
  void wait_for_rate(const RateUse& used) override;
  void end(Reason reason, std::string_view text) override;

  // Stored sessions (connection_stored.cc).
  void open(sessions::Opening opening) override;
  void restore(std::vector<sessions::Filter> filters, const std::vector<Position>& next,
               const std::vector<sessions::RetainedRest>& retained) override;
  void fetch(std::vector<hub::WantedRecord> records) override;
  void resume_deliveries() override;
  std::vector<Position> positions() override;
  std::vector<sessions::ReplayPlace> replays() override;
  std::vector<sessions::RetainedRest> retained_rests() override;
  void on_moved() override;
  void save(sessions::Progress progress) override;
  bool has_output_room() override;
  void subscribe_stored(std::uint32_t index, const std::string& filter,
                        const hub::SubscribeOptions& options);
  Done<void> store_when_subscribed(std::uint32_t index, const std::string& filter,
                                   const hub::SubscribeOptions& options);
  void store_filter(std::uint32_t index, const std::string& filter,
                    const hub::SubscribeOptions& options);
  void erase_filter(sessions::Uid uid, std::string_view filter, sessions::ShareId share);
  void on_restored(const Result<void>& result);
  std::vector<Position> tails();
  // False: its last publishes, or what it has come to, are not durable yet.
  bool hand_back();
  void on_handed_back(const Result<void>& result);

  [[nodiscard]] ListenerContext& listener() { return *context_.listeners[listener_]; }
  [[nodiscard]] bool may_read() const;
  void read_into_shared();
  void read_large_packet();
  // False: nothing came, or the peer has closed.
  bool received(const runtime::Transfer& transfer);
  std::size_t consume(Bytes in);
  void consume_carried();
  void keep(Bytes rest);
  void after_event();
  void post_resume();
  void resume_reading();

  std::size_t take_records(const hub::DeliveryBatch& batch);
  hub::Handle subscriber();
  Done<void> answer_subscribe(std::uint32_t index);
  Buffer& output();
  [[nodiscard]] std::size_t unsent() const { return out_ ? out_->size() - sent_ : 0; }
  [[nodiscard]] bool may_keep_back();
  void keep_back();
  void flush();
  void resume_delivery();
  void on_claimed(const Result<void>& result);
  void note_connected();
  void on_taken_over(hub::Claim newer, Task done);
  void on_subscribed(std::uint32_t index, const Result<void>& result);
  void leave_will();
  void count(int change);
  void watch();
  void mark_dirty();
  void detach();
  void leave_hub();
  void close();
  void tear_down();
  void expect(std::uint32_t due_s);
  [[nodiscard]] std::uint32_t silence_max_s() const;
  [[nodiscard]] std::string peer() const;
  std::size_t deliver(const hub::DeliveryBatch& batch, std::size_t done);

  // For traces, while one is on (connection_trace.cc).
  [[nodiscard]] bool traces() const { return context_.hub.tracer().active(); }
  void trace_accepted();
  Session::Step take_traced(const Frame& frame);
  void trace_received(const Frame& frame);
  void trace_login(const Result<access::Principal>& principal);
  void trace_end(Reason reason, std::string_view text);
  void trace_will(const StoredWill& will);
  void note_answer();
  void trace_answers();
  [[nodiscard]] bool is_traced(const hub::DeliveryBatch& batch) const;
  std::size_t deliver_traced(const hub::DeliveryBatch& batch, std::size_t done, std::size_t out_max,
                             Buffer& out);
  [[nodiscard]] bool deliver_one_traced(const hub::DeliveryBatch& batch, std::size_t nth,
                                        std::size_t out_max, Buffer& out);
  void trace_delivery(const hub::DeliveryBatch& one, Bytes written, bool has_expired);
  void trace_full();
  // `call` on this connection, later, if it and its server are still there.
  template <class Call>
  auto when_alive(Call call);

  ConnectionContext& context_;
  Session session_;
  Buffer
      carried_;  // input not yet taken: an incomplete packet, or what came while the session waits
  std::unique_ptr<Buffer> out_;
  hub::Handle self_;
  hub::Handle publisher_;   // made with the first publish
  hub::Handle subscriber_;  // made with the first subscription
  net::Channel channel_;
  std::uint32_t sent_ = 0;         // bytes of out_
  std::uint32_t packet_size_ = 0;  // of the incomplete packet in carried_, once known
  std::uint32_t heard_s_ = 0;      // when something was read last
  std::uint32_t due_s_ = 0;        // when the wheel is expected
  std::uint32_t answers_unsent_ = 0;
  std::uint32_t connected_s_ = 0;  // when CONNACK was sent
  runtime::Interest interest_;
  bool dirty_ : 1 = false;
  bool held_back_ : 1 = false;  // carried_ waits for the session, not for more bytes
  bool resume_posted_ : 1 = false;
  bool lagging_ : 1 = false;
  bool in_portions_ : 1 = false;  // all output: more of it follows soon
  bool kept_back_ : 1 = false;    // it is not sent yet
  bool is_listed_ : 1 = false;    // in the context's list of those who keep something back
  bool claimed_ : 1 = false;
  bool closed_ : 1 = false;        // the channel
  bool handing_back_ : 1 = false;  // the stored session
  bool handed_back_ : 1 = false;
  bool left_ : 1 =
      false;  // nothing goes in or out; a stored session may have to be handed back yet
  std::uint8_t listener_;  // index in the context
};

template <class Call>
auto Connection::when_alive(Call call) {
  return [weak = context_.weak_from_this(), self = self_,
          call = std::move(call)](auto&&... arguments) {
    const auto context = weak.lock();
    if (!context) return;
    if (auto* connection = context->connections.find(self)) call(**connection, arguments...);
  };
}

static_assert(sizeof(Connection) <= 384,
              "an idle connection with its session costs at most 384 bytes");

}  // namespace sluice::mqtt
