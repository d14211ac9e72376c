// What a session asks of its connection: who the client is, the hub, waiting for rates.

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/start_point.h"
#include "mqtt/connection.h"

namespace sluice::mqtt {

namespace {

constexpr auto rate_pause_min = std::chrono::milliseconds(10);  // so that a high rate does not cost
                                                                // a wake-up per message
constexpr auto rate_pause_max = std::chrono::seconds(1);

}  // namespace

Buffer& Connection::control_output() {
  ++answers_unsent_;
  in_portions_ = false;
  if (traces()) note_answer();
  return output();
}

void Connection::log_in(const access::Login& login) {
  const std::string from = peer();
  const std::string certificate_name = channel_.certificate_name();
  access::Login full = login;
  full.peer = from;
  full.certificate_name = certificate_name;
  context_.access.log_in(
      full, when_alive([](Connection& connection, Result<access::Principal>& principal) {
        if (connection.traces()) connection.trace_login(principal);
        connection.session_.on_logged_in(std::move(principal));
        connection.after_event();
      }));
}

std::unique_ptr<access::SaslServer> Connection::start_exchange(std::string_view mechanism) {
  const std::string peer = to_string(channel_.peer(context_.loop));
  return std::make_unique<access::SaslServer>(context_.access, mechanism,
                                              access::Login{.protocol = "mqtt",
                                                            .peer = peer,
                                                            .client_id = session_.client_id(),
                                                            .user = {},
                                                            .password = {}});
}

void Connection::step(access::SaslServer& exchange, std::string_view token) {
  exchange.step(token,
                when_alive([](Connection& connection, Result<access::SaslServer::Answer>& answer) {
                  connection.session_.on_authenticated(std::move(answer));
                  connection.after_event();
                }));
}

Result<void> Connection::check(const access::Principal& principal, access::Action action,
                               std::string_view resource) {
  return context_.access.check(principal, action, resource);
}

bool Connection::unrestricted(const access::Principal& principal) {
  return context_.access.unrestricted(principal);
}

// Held until the connection is gone, or its will has been published or called off.
void Connection::claim(const std::string& client_id, hub::Claim claim) {
  claimed_ = true;
  auto evict = [weak = context_.weak_from_this(), self = self_](std::uint64_t session,
                                                                hub::Claim newer, Task done) {
    const auto context = weak.lock();
    if (!context) return done();
    if (auto* connection = context->connections.find(self))
      return (*connection)->on_taken_over(newer, std::move(done));
    context->wills.on_taken_over(session, newer);
    done();
  };
  context_.hub.claim(client_id, session_.id(), claim, std::move(evict),
                     when_alive([](Connection& connection, const Result<void>& result) {
                       connection.on_claimed(result);
                     }));
}

// Who takes the session over waits until this connection has handed it back.
void Connection::on_taken_over(hub::Claim newer, Task done) {
  session_.on_taken_over(newer);
  if (!session_.is_kept()) return done();
  context_.taken_over.emplace(self_.index, std::move(done));
  mark_dirty();
}

void Connection::on_claimed(const Result<void>& result) {
  session_.on_claimed(result);
  note_connected();
}

// CONNECT may have been answered.
void Connection::note_connected() {
  connected_s_ = context_.now_s();
  if (session_.connected() && session_.keep_alive_s() > 0)
    expect(heard_s_ + silence_max_s());
  else
    due_s_ = 0;
  after_event();
}

Result<void> Connection::publish(std::uint64_t sequence, const hub::Message& message) {
  if (!publisher_.valid()) publisher_ = context_.hub.add_publisher(*this);
  return context_.hub.publish(publisher_, sequence, message);
}

Result<void> Connection::publish_later(std::uint64_t sequence, const hub::Message& message,
                                       std::uint32_t delay_s) {
  auto on_kept = when_alive([sequence](Connection& connection, const Result<void>& kept) {
    connection.session_.on_kept(sequence, kept);
    connection.after_event();
  });
  // Posted, as the answer may come within the call.
  auto taken = context_.delayed.publish(message, delay_s,
                                        [&loop = context_.loop, on_kept](const Result<void>& kept) {
                                          loop.post([on_kept, kept] { on_kept(kept); });
                                        });
  if (!taken && taken.error().code == Errc::busy)
    context_.delayed.wait_for_room(
        when_alive([](Connection& connection) { connection.on_room(); }));
  return taken;
}

void Connection::subscribe(std::uint32_t index, std::string_view filter,
                           const hub::SubscribeOptions& options) {
  if (session_.stored_uid() != 0) return subscribe_stored(index, std::string(filter), options);
  context_.hub.subscribe(subscriber(), std::string(filter), options, answer_subscribe(index));
}

void Connection::replay(std::uint32_t index, std::string_view filter,
                        const hub::SubscribeOptions& options,
                        std::optional<std::string_view> from) {
  std::optional<StartPoint> start;
  if (from) {
    const auto parsed = parse_start_point(*from, context_.loop.wall_ms());
    if (!parsed)
      return session_.on_subscribed(
          index, fail(Errc::out_of_range, "stream-offset {}", parsed.error().text));
    start = *parsed;
  }
  const std::string text(filter);
  if (session_.stored_uid() == 0)
    return context_.hub.replay(subscriber(), text, options, start, answer_subscribe(index));
  hub::SubscribeOptions stored = options;
  stored.partitions_max = sessions::partitions_max;
  stored.send_retained = false;
  context_.hub.replay(subscriber(), text, stored, start,
                      store_when_subscribed(index, text, stored));
}

std::string Connection::topics_of_replay(std::string_view filter) {
  return context_.hub.topics_of_replay(filter);
}

hub::Handle Connection::subscriber() {
  if (!subscriber_.valid()) subscriber_ = context_.hub.add_subscriber(*this, session_.publisher());
  return subscriber_;
}

Done<void> Connection::answer_subscribe(std::uint32_t index) {
  return when_alive([index](Connection& connection, const Result<void>& result) {
    connection.on_subscribed(index, result);
  });
}

void Connection::on_subscribed(std::uint32_t index, const Result<void>& result) {
  session_.on_subscribed(index, result);
  after_event();
}

bool Connection::unsubscribe(std::string_view filter) {
  if (!subscriber_.valid()) return false;
  const sessions::ShareId share = context_.hub.share_of(subscriber_, filter);
  if (!context_.hub.unsubscribe(subscriber_, filter)) return false;
  if (const auto uid = session_.stored_uid(); uid != 0) erase_filter(uid, filter, share);
  return true;
}

bool Connection::has_filter(std::string_view filter) {
  return subscriber_.valid() && context_.hub.has_filter(subscriber_, filter);
}

void Connection::settle(const hub::Ticket& ticket) {
  context_.hub.settle(ticket.membership, {&ticket.number, 1});
}

bool Connection::admit(RateUse& used, std::size_t bytes) { return listener().admit(used, bytes); }

// A wait of its own is looked at again after a second at the latest: nothing that a connection
// leaves behind when it goes lasts longer.
void Connection::wait_for_rate(const RateUse& used) {
  context_.counters.throttled.add();
  const runtime::TimePoint now = context_.loop.now();
  const runtime::TimePoint room_at = session_.limits().client_rates.room_at(used);
  if (room_at <= now) return listener().wait_for_room(self_);
  context_.loop.run_at(std::clamp(room_at, now + rate_pause_min, now + rate_pause_max),
                       when_alive([](Connection& connection) { connection.on_rate(); }));
}

}  // namespace sluice::mqtt
