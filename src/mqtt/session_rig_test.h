#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/hash.h"
#include "log/record_batch.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/property.h"
#include "mqtt/session.h"

namespace sluice::mqtt {

// Stands in for the connection: notes what the session asks, and answers only when it is told to.
struct FakeHost final : SessionHost {
  struct Published {
    std::uint64_t sequence;
    std::string topic;
    std::string payload;
    std::uint8_t qos;
    bool retain;
    std::optional<log::Qos2Evidence> qos2;
  };
  struct Subscribed {
    std::string filter;
    hub::SubscribeOptions options;
  };

  Buffer& control_output() override { return output; }
  void log_in(const access::Login& login) override {
    logging_in = login.user;
    if (login_answer) session->on_logged_in(*login_answer);
  }
  std::unique_ptr<access::SaslServer> start_exchange(std::string_view mechanism) override {
    return std::make_unique<access::SaslServer>(
        access, mechanism,
        access::Login{.protocol = "mqtt", .peer = {}, .client_id = {}, .user = {}, .password = {}});
  }
  void step(access::SaslServer& exchange, std::string_view token) override {
    exchange.step(token, [this](Result<access::SaslServer::Answer> answer) {
      session->on_authenticated(std::move(answer));
    });
  }
  Result<void> check(const access::Principal&, access::Action, std::string_view what) override {
    if (what == forbidden) return fail(Errc::unauthorized, "{} is forbidden", what);
    return {};
  }
  bool unrestricted(const access::Principal&) override { return forbidden.empty(); }
  void claim(const std::string& client_id, hub::Claim how) override {
    claimed = client_id;
    claimed_how = how;
  }
  Result<void> publish(std::uint64_t sequence, const hub::Message& message) override {
    if (publish_error) return std::unexpected(*publish_error);
    published.push_back({sequence, std::string(message.topic),
                         std::string(as_text(message.payload)), message.qos, message.retain,
                         message.qos2});
    return {};
  }
  Result<void> publish_later(std::uint64_t sequence, const hub::Message& message,
                             std::uint32_t delay_s) override {
    delays.push_back(delay_s);
    return publish(sequence, message);
  }
  void subscribe(std::uint32_t index, std::string_view filter,
                 const hub::SubscribeOptions& options) override {
    asked.push_back(index);
    subscribed.push_back({std::string(filter), options});
    if (!has_filter(filter)) filters.emplace_back(filter);
  }
  void replay(std::uint32_t index, std::string_view filter, const hub::SubscribeOptions& options,
              std::optional<std::string_view> from) override {
    starts.emplace_back(from.value_or("nowhere in particular"));
    subscribe(index, filter, options);
  }
  std::string topics_of_replay(std::string_view filter) override {
    return std::string(filter.substr(std::string_view("$stream/").size()));
  }
  bool has_filter(std::string_view filter) override {
    return std::ranges::find(filters, filter) != filters.end();
  }
  bool unsubscribe(std::string_view filter) override {
    return std::erase(filters, std::string(filter)) > 0;
  }
  void settle(const hub::Ticket& ticket) override { settled.push_back(ticket.number); }
  void keep(const hub::Ticket& ticket) override { kept.push_back(ticket.number); }
  bool admit(RateUse&, std::size_t bytes) override {
    if (rate_left < bytes) return false;
    rate_left -= bytes;
    return true;
  }
  void wait_for_rate(const RateUse&) override { ++rate_waits; }
  void open(sessions::Opening with) override {
    opening = std::move(with);
    if (opened_answer) session->on_opened(*opened_answer);
  }
  void restore(std::vector<sessions::Filter> with, const std::vector<Position>& next,
               const std::vector<sessions::RetainedRest>& retained) override {
    restored = {.filters = std::move(with), .next = next, .retained = retained};
    session->on_restored(tails);
  }
  void fetch(std::vector<hub::WantedRecord> records) override {
    fetched.clear();
    fetched_of.clear();
    fetched_topics.clear();
    for (const auto& [position, replay, retained_topic] : records) {
      fetched.push_back(position);
      fetched_of.push_back(replay);
      fetched_topics.push_back(retained_topic);
    }
  }
  void resume_deliveries() override { ++resumes; }
  std::vector<Position> positions() override { return at; }
  std::vector<sessions::ReplayPlace> replays() override { return replays_at; }
  std::vector<sessions::RetainedRest> retained_rests() override { return rests; }
  bool has_output_room() override { return output_room; }
  void on_moved() override { ++moves; }
  void save(sessions::Progress progress) override { saves.push_back(std::move(progress)); }
  void end(Reason why, std::string_view) override {
    ++ends;
    reason = why;
  }

  Session* session = nullptr;
  access::AllowAll access;  // asked for logins by AUTH only
  Buffer output;
  std::optional<Result<access::Principal>> login_answer = access::Principal{};  // none: not yet
  std::optional<std::string> logging_in;                                        // the user
  std::string forbidden;                                                        // topic or filter
  std::optional<Error> publish_error;
  std::optional<std::string> claimed;
  hub::Claim claimed_how{};
  std::vector<Published> published;
  std::vector<std::uint32_t> delays;  // of those published later
  std::vector<std::uint32_t> asked;   // indexes of filters whose on_subscribed is due
  std::vector<Subscribed> subscribed;
  std::vector<std::string> filters;
  std::vector<std::string> starts;  // of replays
  std::vector<std::uint64_t> settled, kept;
  struct Restored {
    std::vector<sessions::Filter> filters;
    std::vector<Position> next;
    std::vector<sessions::RetainedRest> retained;
  };
  std::optional<sessions::Opening> opening;
  std::optional<sessions::Opened> opened_answer = sessions::Opened{};  // none: not yet
  std::optional<Restored> restored;
  std::vector<Position> tails;  // of what is restored
  std::vector<Position> at;     // positions()
  std::vector<sessions::ReplayPlace> replays_at;
  std::vector<sessions::RetainedRest> rests;  // retained_rests()
  std::vector<Position> fetched;              // asked for last
  std::vector<std::uint32_t> fetched_of;      // hub::WantedRecord::replay of each
  std::vector<std::string> fetched_topics;    // and retained_topic
  std::vector<sessions::Progress> saves;
  bool output_room = true;
  int resumes = 0;
  int moves = 0;
  std::size_t rate_left = 0;  // bytes that may still be published, where there are rates
  int rate_waits = 0;
  int ends = 0;
  Reason reason = Reason::success;
};

// A packet of the server in a few words, such as "puback 7 00": name, packet id, codes.
inline std::string describe(const Frame& frame, Version version) {
  const auto codes = [](Bytes bytes) {
    std::string text;
    for (const std::byte code : bytes) text += fmt::format(" {:02x}", std::to_integer<int>(code));
    return text;
  };
  switch (frame.type) {
    case PacketType::connack: {
      const auto connack = decode_connack(frame.body, version).value();
      return fmt::format("connack {:02x}{}", connack.code,
                         connack.session_present ? " present" : "");
    }
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp: {
      const auto ack = decode_ack(frame.body, version).value();
      std::string name(to_string(frame.type));
      std::ranges::transform(name, name.begin(),
                             [](char c) { return static_cast<char>(c | 0x20); });
      return fmt::format("{} {} {:02x}", name, ack.packet_id, ack.code);
    }
    case PacketType::publish: {
      const auto publish = decode_publish(frame, version).value();
      return fmt::format("publish {} q{} {}{}{}", publish.packet_id, publish.qos, publish.topic,
                         publish.retain ? " retain" : "", publish.dup ? " dup" : "");
    }
    case PacketType::suback: {
      const auto ack = decode_subscribe_ack(frame.body, version).value();
      return fmt::format("suback {}{}", ack.packet_id, codes(ack.codes));
    }
    case PacketType::unsuback: {
      const auto ack = decode_unsubscribe_ack(frame.body, version).value();
      return fmt::format("unsuback {}{}", ack.packet_id, codes(ack.codes));
    }
    case PacketType::auth:
      return fmt::format("auth {:02x}", decode_auth(frame.body, version).value().code);
    case PacketType::disconnect:
      return fmt::format("disconnect {:02x}", decode_disconnect(frame.body, version).value().code);
    default:
      return std::string(to_string(frame.type));
  }
}

// A session between a client, whose packets the test makes, and a host.
class SessionRig {
 public:
  using Step = Session::Step;
  using Packets = std::vector<std::string>;

  explicit SessionRig(Version version, Limits with = {}) : limits(with), version_(version) {
    host.session = &session;
  }

  // What the session has sent since the last call, in the words of describe().
  Packets sent() {
    Packets packets;
    Bytes rest = host.output;
    while (!rest.empty()) {
      const auto frame = std::get<Frame>(decode_frame(rest, 1 << 28).value());
      packets.push_back(describe(frame, version_));
      rest = rest.subspan(frame.size);
    }
    host.output.clear();
    return packets;
  }

  Step send(Bytes wire) {
    return session.on_packet(std::get<Frame>(decode_frame(wire, 1 << 28).value()));
  }
  void connect(Connect with = {.client_id = "c"}) {
    with.version = version_;
    Buffer wire;
    encode_connect(wire, with);
    send(wire);
  }
  // Up to and with the CONNACK, which is taken.
  void connected(const Connect& with = {.client_id = "c"}) {
    connect(with);
    session.on_claimed({});
    SLUICE_ASSERT(sent() == Packets{"connack 00"});
  }
  Step publish(const OutgoingPublish& publish) {
    Buffer wire;
    encode_publish(wire, version_, publish, measure_publish(version_, publish));
    return send(wire);
  }
  Step publish(std::string_view topic, std::uint16_t id, std::uint8_t qos = 1,
               bool retain = false) {
    return publish({.topic = topic,
                    .payload = as_bytes("x"),
                    .packet_id = id,
                    .qos = qos,
                    .retain = retain,
                    .properties = {}});
  }
  void subscribe(const std::vector<Subscription>& subscriptions, std::uint16_t id = 1,
                 PropertyBlock with = {}) {
    Buffer filters;
    for (const Subscription& subscription : subscriptions)
      append_subscription(filters, subscription);
    Buffer wire;
    encode_subscribe(wire, version_, {.packet_id = id, .properties = with, .filters = filters});
    send(wire);
  }
  void unsubscribe(std::string_view filter, std::uint16_t id = 1) {
    Buffer filters;
    append_filter(filters, filter);
    Buffer wire;
    encode_unsubscribe(wire, version_, {.packet_id = id, .properties = {}, .filters = filters});
    send(wire);
  }
  void ack(PacketType type, std::uint16_t id, Reason reason = Reason::success) {
    Buffer wire;
    encode_ack(wire, version_, type,
               {.packet_id = id, .code = static_cast<std::uint8_t>(reason), .properties = {}});
    send(wire);
  }
  void puback(std::uint16_t id) { ack(PacketType::puback, id); }
  void disconnect(Reason reason = Reason::success) {
    Buffer wire;
    encode_disconnect(wire, version_,
                      {.code = static_cast<std::uint8_t>(reason), .properties = {}});
    send(wire);
  }
  // The `index`th publish that the hub has taken is durable, and all before it.
  void kept(std::size_t index, const Result<void>& result = {}) {
    session.on_kept(host.published.at(index).sequence, result);
  }
  void durable(std::size_t index) { session.on_published(host.published.at(index).sequence); }
  // A message for the client, as the hub offers it; `ticket` is for one of a shared subscription.
  // False: the session does not take it now.
  bool deliver(std::string_view topic, std::uint8_t publisher_qos = 2, std::uint8_t granted_qos = 2,
               hub::Origin origin = hub::Origin::log, std::uint64_t ticket = 0) {
    return with_batch(topic, publisher_qos, {.qos = granted_qos}, {},
                      [&](hub::DeliveryBatch batch) {
                        batch.origin = origin;
                        batch.first_ticket = ticket;
                        return deliver(batch);
                      });
  }
  // The same of a record of the log.
  bool deliver(std::string_view topic, Position position, std::uint8_t qos = 2) {
    return with_batch(topic, 2, {.qos = qos}, position,
                      [&](const hub::DeliveryBatch& batch) { return deliver(batch); });
  }
  // One that a replay gives, which is called 9.
  bool deliver_replayed(std::string_view topic, Position position, std::uint8_t qos = 2) {
    return with_batch(topic, 2, {.qos = qos, .replay = 9}, position,
                      [&](const hub::DeliveryBatch& batch) { return deliver(batch); });
  }
  // A retained one.
  bool deliver_retained(std::string_view topic, Position position) {
    return with_batch(topic, 2, {.qos = 2}, {}, [&](hub::DeliveryBatch batch) {
      batch.origin = hub::Origin::retained;
      batch.partition = position.partition;
      batch.published_at = {&position.offset, 1};
      return deliver(batch);
    });
  }
  // One that a stored session gets as a member of a group, which is called 5.
  bool deliver_shared(std::string_view topic, Position position, std::uint64_t ticket,
                      std::uint8_t qos = 2) {
    return with_batch(topic, 2, {.qos = qos}, position, [&](hub::DeliveryBatch batch) {
      batch.origin = hub::Origin::shared;
      batch.first_ticket = ticket;
      batch.group = 5;
      return deliver(batch);
    });
  }
  // A message that was asked for is read again.
  bool fetch(std::string_view topic, Position position, hub::Origin origin = hub::Origin::log) {
    return with_batch(topic, 2, {.qos = 2}, position, [&](hub::DeliveryBatch batch) {
      batch.origin = origin;
      return session.on_fetched(batch);
    });
  }

  // The hub answers all subscribes that were asked.
  void answer_subscribes() {
    for (const std::uint32_t index : std::exchange(host.asked, {}))
      session.on_subscribed(index, {});
  }

  Metrics metrics;
  Counters counters{metrics};
  Limits limits;
  DeliveryContext delivery_context{
      .counters = counters, .properties = {}, .encoded = {}, .shared = {}};
  hub::Properties properties;
  SessionContext context{.limits = limits,
                         .counters = counters,
                         .delivery = delivery_context,
                         .properties = properties};
  FakeHost host;
  Session session{host, context, 1};

 private:
  template <class Use>
  bool with_batch(std::string_view topic, std::uint8_t publisher_qos, const hub::Grant& grant,
                  Position position, Use use) {
    log::BatchBuilder builder;
    builder.add(0, {.key = as_bytes(topic),
                    .value = as_bytes("x"),
                    .headers = {},
                    .headers_count = 0,
                    .flags = static_cast<std::uint8_t>(log::Record::has_packed | publisher_qos),
                    .key_hash = static_cast<std::uint32_t>(hash64(as_bytes(topic)))});
    const auto block = builder.finish();
    const hub::Delivery delivery{0, 1, &grant};
    block->stamp(position.offset, 0);
    return use(hub::DeliveryBatch{.prefix = "",
                                  .block = block,
                                  .deliveries = {&delivery, 1},
                                  .partition = position.partition});
  }
  bool deliver(const hub::DeliveryBatch& batch) {
    return session.deliver(batch, 0, 1 << 20, session.output_for(batch, host.output)) == 1;
  }

  Version version_;
};

}  // namespace sluice::mqtt
