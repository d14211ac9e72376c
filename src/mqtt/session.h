#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/access.h"
#include "access/sasl.h"
#include "base/result.h"
#include "hub/hub.h"
#include "hub/message.h"
#include "mqtt/client_state.h"
#include "mqtt/counters.h"
#include "mqtt/options.h"
#include "mqtt/outbound.h"
#include "mqtt/packet.h"
#include "mqtt/receive_ring.h"
#include "mqtt/will.h"
#include "sessions/sessions.h"

namespace sluice::mqtt {

class PropertyWriter;

// What a session asks of its connection: the actions. Answers that come later are events of the
// session.
class SessionHost {
 public:
  // Where packets to the client are written.
  virtual Buffer& control_output() = 0;
  virtual void log_in(const access::Login& login) = 0;  // -> on_logged_in
  // A login by one of access::sasl_mechanisms.
  virtual std::unique_ptr<access::SaslServer> start_exchange(std::string_view mechanism) = 0;
  virtual void step(access::SaslServer& exchange,
                    std::string_view token) = 0;  // -> on_authenticated
  virtual Result<void> check(const access::Principal& principal, access::Action action,
                             std::string_view resource) = 0;
  virtual bool unrestricted(const access::Principal& principal) = 0;
  virtual void claim(const std::string& client_id, hub::Claim claim) = 0;  // -> on_claimed
  virtual Result<void> publish(std::uint64_t sequence,
                               const hub::Message& message) = 0;  // -> on_published
  // Keeps the message, and publishes it after the delay. Errors as of delayed::Delayed::publish.
  virtual Result<void> publish_later(std::uint64_t sequence, const hub::Message& message,
                                     std::uint32_t delay_s) = 0;  // -> on_kept, not in the call
  virtual void subscribe(std::uint32_t index, std::string_view filter,
                         const hub::SubscribeOptions& options) = 0;  // -> on_subscribed
  // As hub::Hub::replay; `from` in the notation of parse_start_point().
  virtual void replay(std::uint32_t index, std::string_view filter,
                      const hub::SubscribeOptions& options,
                      std::optional<std::string_view> from) = 0;      // -> on_subscribed
  virtual std::string topics_of_replay(std::string_view filter) = 0;  // as hub::Hub has it
  virtual bool unsubscribe(std::string_view filter) = 0;              // false: there was none
  virtual bool has_filter(std::string_view filter) = 0;
  virtual void settle(const hub::Ticket& ticket) = 0;  // as hub::Hub::settle
  virtual void keep(const hub::Ticket& ticket) = 0;    // as hub::Hub::keep
  // A publish that has a reason not to be stored, whatever its client is told.
  virtual void on_unstored(std::string_view /*topic*/, Reason /*reason*/,
                           std::string_view /*text*/) {}
  // Whether the rates allow a publish of `bytes`, which then counts; `used` is the client's own.
  virtual bool admit(RateUse& used, std::size_t bytes) = 0;
  virtual void wait_for_rate(const RateUse& used) = 0;  // -> on_rate
  // Of a session that outlives its connection; false or nothing where there are none.
  virtual void open(sessions::Opening opening) = 0;  // -> on_opened
  virtual void restore(std::vector<sessions::Filter> filters, const std::vector<Position>& next,
                       const std::vector<sessions::RetainedRest>& retained) = 0;  // -> on_restored
  virtual void fetch(std::vector<hub::WantedRecord> records) = 0;  // -> on_fetched, on_fetch_end
  virtual void resume_deliveries() = 0;
  virtual std::vector<Position> positions() = 0;  // as hub::Hub has them all
  virtual std::vector<sessions::ReplayPlace> replays() = 0;
  virtual std::vector<sessions::RetainedRest> retained_rests() = 0;
  virtual bool has_output_room() = 0;
  virtual void on_moved() = 0;  // what Session::progress() tells has changed
  // And what was settled and kept of shared subscriptions.
  virtual void save(sessions::Progress progress) = 0;  // -> on_saved
  // From now on the session is over: send what is written, then close. Told once.
  virtual void end(Reason reason, std::string_view text) = 0;

 protected:
  ~SessionHost() = default;
};

// What the sessions of a listener share on one shard: its limits; the rest is the shard's.
struct SessionContext {
  const Limits& limits;
  Counters& counters;
  DeliveryContext& delivery;
  hub::Properties& properties;  // scratch: of the message being published
  bool has_rates = false;       // publishes are counted: SessionHost::admit
  Omissions omit{};
};

// One MQTT session, as long as its connection: packets and completions in, actions out. No socket
// and no clock. Acknowledges a publish (PUBACK, PUBREC) when it is durable, in the order of
// arrival. Of what outlives the connection the will is taken out at the end, and a stored session
// is handed back by whoever owns this (session_stored.cc).
class Session {
 public:
  enum class Step : std::uint8_t {
    taken,
    later,  // there is no room for it: to be shown again after on_room() or on_published()
  };

  // `id` is unique among all sessions: take-over and no-local tell sessions apart by it.
  Session(SessionHost& host, SessionContext& context, std::uint64_t id);
  ~Session();

  // Whether the next packet may be shown; else an answer is waited for.
  [[nodiscard]] bool ready() const { return waits_ == 0 && state_ != State::ended; }
  [[nodiscard]] bool ended() const { return state_ == State::ended; }
  [[nodiscard]] bool connected() const { return state_ == State::connected; }
  [[nodiscard]] bool waits_for_room() const { return (waits_ & wait_room) != 0; }
  [[nodiscard]] bool waits_for_rate() const { return (waits_ & wait_rate) != 0; }
  [[nodiscard]] std::size_t packet_max() const;
  [[nodiscard]] const Limits& limits() const { return context_.limits; }
  [[nodiscard]] bool has_rates() const { return context_.has_rates; }

  // There are too many connections: CONNECT is to be refused. Before the first packet.
  void deny_place() { has_place_ = false; }
  [[nodiscard]] bool has_place() const { return has_place_; }

  // Before the packets of a read are shown: permissions may have changed.
  void ask_permissions() { unrestricted_ = connected() && is_unrestricted(); }
  Step on_packet(const Frame& frame);
  // Bytes that are no packet, or anything else that breaks the protocol.
  void refuse(const Refusal& refusal);

  void on_logged_in(Result<access::Principal> principal);
  void on_authenticated(Result<access::SaslServer::Answer> answer);
  void on_claimed(const Result<void>& result);
  void on_opened(Result<sessions::Opened> opened);
  // `live_from`: where the tails of its partitions are.
  void on_restored(Result<std::vector<Position>> live_from);
  // The next of the messages that were asked for. False: there is no room, for the rest either.
  [[nodiscard]] bool on_fetched(const hub::DeliveryBatch& batch);
  void on_gone();  // there is no such message any more
  void on_fetch_end();
  void on_saved(const Result<void>& result);
  void on_published(std::uint64_t up_to);
  void on_publish_failed(std::uint64_t sequence, const Error& error);
  void on_kept(std::uint64_t sequence, const Result<void>& result);
  void on_rate() { waits_ &= static_cast<std::uint8_t>(~wait_rate); }
  void on_room() { waits_ &= static_cast<std::uint8_t>(~wait_room); }
  void on_subscribed(std::uint32_t index, const Result<void>& result);
  // Another connection has claimed the client id. What becomes of the will stands in
  // docs/reference/mqtt.md.
  void on_taken_over(hub::Claim newer);
  // The server ends it: shutting down, silent for too long.
  void on_ended_by_server(Reason reason, std::string_view text);
  // Clients are told of another server, if there is one.
  void on_server_stops();
  // The socket is gone.
  void on_lost(std::string_view text);
  // After the end, once: the will, if it is to be published.
  std::unique_ptr<StoredWill> take_will() { return std::move(will_); }
  // Some of what the client got of shared subscriptions is about to be its session's own:
  // on_saved() tells.
  [[nodiscard]] bool is_keeping() const { return outbound_.is_keeping(); }
  // After the end, once: settles what the client got of shared subscriptions and nobody else may
  // get.
  void abandon_shared() {
    outbound_.abandon([this](const hub::Ticket& ticket) { host_.settle(ticket); });
  }

  // What a subscription gives; as hub::SubscriberSink says.
  std::size_t deliver(const hub::DeliveryBatch& batch, std::size_t done, std::size_t out_max,
                      Buffer& out) {
    if (stored_) return deliver_stored(batch, done, out_max, out);
    return outbound_.deliver(batch, done, out_max, out, context_.delivery);
  }
  // Of a shared subscription: how many of its messages may stand open.
  [[nodiscard]] std::uint32_t window_of(std::uint8_t qos);
  // Where deliver() is to write: `out`, or what waits until it is durable that it was sent.
  Buffer& output_for(const hub::DeliveryBatch& batch, Buffer& out);
  [[nodiscard]] std::uint32_t in_flight() const { return outbound_.in_flight(); }
  [[nodiscard]] bool has_room_again();
  // All packets of a turn have been shown: saves what others wait for.
  void end_turn();
  // There may be room again: sends on what was in flight before.
  void go_on();
  // Nothing is delivered any more. Before the subscriber goes.
  void on_detached();

  // --- a session that outlives its connection
  // It must be handed back: it is stored, or about to be opened.
  [[nodiscard]] bool is_kept() const { return opening_ || stored_uid() != 0; }
  // After the end: nothing is under way any more that what is saved last must know of.
  [[nodiscard]] bool is_settled() const {
    return !opening_ && receive_ring_.empty() && !is_keeping();
  }
  [[nodiscard]] sessions::Uid stored_uid() const;  // 0: it is not stored
  [[nodiscard]] std::uint32_t expiry_s() const;
  // After the end: its will waits for a delay.
  [[nodiscard]] bool has_will_waiting() const { return will_ && will_->wait_s() > 0; }
  // Of a stored one; what it has come to is to be saved.
  void note_moved();
  void note_lost(hub::Loss why, std::uint64_t offsets);  // as SubscriberSink::on_lost
  // Precondition of both, and of note_lost(): stored_uid() is not 0.
  sessions::Progress take_progress();  // what moves from now on is told by on_moved() again
  sessions::Progress progress();

  [[nodiscard]] std::uint64_t id() const { return id_; }
  // Whom its messages name as their publisher: the same over all connections of a stored session.
  [[nodiscard]] std::uint64_t publisher() const { return stored_uid() != 0 ? stored_uid() : id_; }
  [[nodiscard]] Version version() const { return version_; }
  [[nodiscard]] const std::string& client_id() const { return principal_.client_id; }
  // The topic that a publish names, by itself or by an alias; empty if the alias is not known.
  [[nodiscard]] std::string_view topic_of(const Publish& packet) const;
  // Seconds of silence that the client allows itself; 0: for ever.
  [[nodiscard]] std::uint16_t keep_alive_s() const { return keep_alive_s_; }
  void release_idle_memory();
  void describe(ClientState& state) const;

 private:
  enum class State : std::uint8_t { fresh, authenticating, logging_in, claiming, connected, ended };
  // Why no packet may be shown, as bits.
  static constexpr std::uint8_t wait_login = 1;  // also for the claim
  static constexpr std::uint8_t wait_subscribe = 2;
  static constexpr std::uint8_t wait_room = 4;
  static constexpr std::uint8_t wait_window = 8;
  static constexpr std::uint8_t wait_rate = 16;

  struct Stored;  // of one that outlives its connection
  struct Authentication;
  struct Inbound;              // what only some publishers need: QoS 2, topic aliases
  struct PendingSubscribe;     // a SUBSCRIBE of which not all filters have been answered
  struct SubscribeProperties;  // of a SUBSCRIBE

  void on_first_packet(const Frame& frame);
  Decoded<void> on_connect(const Connect& connect);
  void read_connect_properties(const Connect& connect);
  Decoded<void> take_client_id(const Connect& connect);
  Decoded<void> accept_will(const Will& will, std::uint32_t session_expiry_s);
  Decoded<void> take_principal(Result<access::Principal> principal);
  Buffer& answer();  // where one packet is written next
  // The same for what may leave only when all that the session has put so far is durable, if it is
  // stored.
  Buffer& answer_when_saved();
  void ask_for_session(std::uint32_t expiry_s);
  void open();
  void take_up(const sessions::Opened& opened);
  void accept(bool session_present);
  [[nodiscard]] std::uint32_t granted_expiry_s() const;
  bool send_connack(bool session_present);
  void write_response_information(PropertyWriter& writer) const;
  void refuse_connect(Version version, const Refusal& refusal);

  // False: CONNECT names no authentication method.
  Decoded<bool> begin_authentication(const Connect& connect);
  void start_exchange(std::optional<Bytes> data);
  void step(Bytes data);
  void on_packet_while_authenticating(const Frame& frame);
  void on_auth(const Frame& frame);
  Decoded<void> take_auth(const Auth& packet);
  void refuse_authentication(const Refusal& why);
  void send_auth(Reason reason, std::string_view data);

  Step on_connected_packet(const Frame& frame);
  template <class T, class Take>
  void take(const Decoded<T>& packet, Take take_packet);
  void on_ack(PacketType type, const Ack& packet);

  Step on_publish(const Publish& packet);
  Decoded<void> read_publish(const Publish& packet, hub::Message& message);
  Decoded<void> resolve_alias(std::uint16_t alias, hub::Message& message);
  bool answer_repeat(const Publish& packet);
  Step on_no_place();
  Step publish(const Publish& packet, hub::Message& message);
  Step publish_later(const Publish& packet, hub::Message& message);
  PublishAnswer take_delay(hub::Message& message, std::uint32_t& delay_s) const;
  Step refuse_publish(const Publish& packet, const hub::Message& message, PublishAnswer answer);
  Step on_publish_refused(const Publish& packet, const hub::Message& message, const Error& error);
  // Whether the rates allow a publish.
  bool admit(const Publish& packet);
  Step on_rate_exceeded(const Publish& packet, const hub::Message& message);
  Inbound& inbound();
  void expect_ack(const Publish& packet, std::uint64_t sequence);
  PublishAnswer judge(const hub::Message& message);
  // Answers a publish that is not stored; `answer` positive: as if it were.
  void answer_unstored(const Publish& packet, PublishAnswer answer);
  void on_publish_error(const Publish& packet, const Error& error);
  void on_pubrel(const Ack& packet);
  void send_acks();
  void send_ack(const ReceiveRing::Entry& entry, Buffer& out);

  void settle_acks();
  void on_puback(const Ack& packet);
  void on_pubrec(const Ack& packet);
  void on_pubcomp(const Ack& packet);
  void finish_sent(std::uint16_t packet_id);
  void send_ack(PacketType type, std::uint16_t packet_id);
  // A negative PUBACK, PUBREC, PUBREL or PUBCOMP.
  void refuse_packet(PacketType type, std::uint16_t packet_id, const Refusal& why);

  void send_again();
  std::size_t deliver_stored(const hub::DeliveryBatch& batch, std::size_t done, std::size_t out_max,
                             Buffer& out);
  Offset live_from(const hub::DeliveryBatch& batch);
  [[nodiscard]] bool hub_knows_place() const;  // of a stored one

  void on_subscribe(const Subscribe& packet);
  void subscribe_one(std::uint32_t index, const Subscription& subscription,
                     const SubscribeProperties& properties);
  void ask_to_subscribe(std::uint32_t index, std::string_view filter,
                        const hub::SubscribeOptions& options,
                        const SubscribeProperties& properties);
  Decoded<void> check_filter(std::string_view filter);
  // What the hub says of itself is also for those who administer it.
  bool may_subscribe(std::string_view filter);
  bool may_go_on(const sessions::Filter& filter);
  bool may_get(const hub::DeliveryBatch& batch);
  void refuse_filter(std::uint32_t index, Reason reason, std::string_view text);
  // Keeps count of the connection's filters; false: one more would be too many.
  bool take_place(std::string_view filter);
  void send_suback();
  void on_unsubscribe(const Unsubscribe& packet);
  void on_disconnect(const Disconnect& packet);

  void send_disconnect(Reason reason, std::string_view text);
  // Of CONNACK and DISCONNECT; `codes`: bytes of the packet beside it. A reason string that would
  // make the packet larger than the client takes is left out ([MQTT-3.2.2-19], [MQTT-3.14.2-3]).
  // Valid until the next call.
  PropertyBlock reason_string(std::string_view text, std::size_t codes = 0);
  // The same of the other packets, where the client may have asked for none ([MQTT-3.1.2-29]).
  PropertyBlock problem(std::string_view text, std::size_t codes = 0);
  // Takes back what was written from `start` on if the client takes no packet of that size
  // ([MQTT-3.1.2-24]).
  [[nodiscard]] bool keep_if_it_fits(Buffer& out, std::size_t start) const;
  void end(Reason reason, std::string_view text);
  [[nodiscard]] bool is_unrestricted() {
    return !context_.has_rates && host_.unrestricted(principal_);
  }
  [[nodiscard]] bool is_v5() const { return version_ == Version::v5; }

  SessionHost& host_;
  SessionContext& context_;
  std::uint64_t id_;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t durable_up_to_ = 0;
  ReceiveRing receive_ring_;
  Outbound outbound_;
  access::Principal principal_;       // its client id from CONNECT on, the rest from the login on
  std::unique_ptr<Inbound> inbound_;  // made when it is needed
  std::unique_ptr<StoredWill> will_;
  std::unique_ptr<Stored> stored_;
  std::unique_ptr<Authentication> authentication_;
  std::unique_ptr<PendingSubscribe> pending_subscribe_;
  std::uint16_t keep_alive_s_ = 0;
  std::uint16_t filters_ = 0;  // subscribed to, at most limits.subscriptions_max
  // Publishes of QoS 1 without PUBACK and of QoS 2 without PUBCOMP: what the receive maximum is of.
  std::uint32_t open_publishes_ = 0;
  Version version_ = Version::v3_1_1;
  State state_ = State::fresh;
  std::uint8_t waits_ = 0;
  bool assigned_client_id_ : 1 = false;
  bool clean_start_ : 1 = true;
  bool has_user_ : 1 = false;  // CONNECT named one
  bool keep_alive_cut_ : 1 = false;
  bool asked_for_session_ : 1 = false;           // by CONNECT
  bool opening_ : 1 = false;                     // its stored session
  bool unrestricted_ : 1 = false;                // everything is permitted, at any rate
  bool bridge_ : 1 = false;                      // as Connect says
  bool wants_problems_ : 1 = true;               // Request Problem Information (3.1.2.11.7)
  bool wants_response_information_ : 1 = false;  // 3.1.2.11.6
  bool admitted_ : 1 = false;                    // the publish that waits for room has been counted
  bool has_place_ : 1 = true;
};

}  // namespace sluice::mqtt
