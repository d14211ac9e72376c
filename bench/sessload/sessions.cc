#include "sessload/sessions.h"

#include <algorithm>

namespace sessload {

namespace {

constexpr std::size_t expiry_s = 86'400;                // of a session
constexpr std::uint32_t sessions_per_address = 10'000;  // which has some 28,000 ports
constexpr std::size_t slow_acknowledged = 3;            // at a time

}  // namespace

Sessions::Sessions(const Options& options, int epoll)
    : options_(options),
      messages_(options),
      epoll_(epoll),
      all_(options.scenario == "publish" ? 0 : options.sessions),
      slow_(options.is_slow()) {
  for (Session& session : all_) session.next = options.from;
}

Taken Sessions::taken() const {
  Taken taken = taken_;
  if (!options_.makes())
    for (const Session& session : all_)
      taken.missing += options_.from + options_.each - session.next;
  return taken;
}

void Sessions::open() {
  while (opened_ < all_.size() && opened_ - gone_ < options_.at_once &&
         opened_ - ready_ < options_.handshakes) {
    Session& session = all_[opened_];
    session.link.open(epoll_, opened_, options_.port,
                      Link::loopback + 1 + opened_ / sessions_per_address);
    session.link.out() = connect_of(session);
    session.stage = Stage::connecting;
    sockets_max_ = std::max(sockets_max_, ++opened_ - gone_);
  }
}

void Sessions::on_event(std::uint32_t key, std::uint32_t events, std::vector<char>& buffer) {
  Session& session = all_[key];
  const auto take = [&](const Packet& packet) { on_packet(session, packet); };
  if (events != EPOLLOUT && !session.link.read(buffer, take)) return on_closed(session);
  session.link.flush();
}

// Of the even ones each three in a second, of the odd ones each all that it holds in ten seconds.
void Sessions::acknowledge_some() {
  ++steps_;
  for (std::size_t i = steps_ % 10 * 2; i < all_.size(); i += 20)
    acknowledge_now(all_[i], slow_acknowledged);
  for (std::size_t i = steps_ % 100 * 2 + 1; i < all_.size(); i += 200)
    acknowledge_now(all_[i], all_[i].held.size());
}

void Sessions::hurry() {
  slow_ = false;
  for (Session& session : all_) acknowledge_now(session, session.held.size());
}

std::uint32_t Sessions::number_of(const Session& session) const {
  return options_.first + static_cast<std::uint32_t>(&session - all_.data());
}

std::string Sessions::name_of(const Session& session) const {
  return "session " + std::to_string(number_of(session));
}

std::string Sessions::connect_of(const Session& session) const {
  std::string body;
  put_text(body, "MQTT");
  put8(body, 5);
  put8(body, 0);   // no clean start
  put16(body, 0);  // no keep-alive
  put_variable(body, 8);
  put8(body, 0x11);  // Session Expiry Interval
  put32(body, expiry_s);
  put8(body, 0x21);  // Receive Maximum
  put16(body, options_.receive_maximum);
  put_text(body, options_.prefix + "-" + std::to_string(number_of(session)));
  return packet_of(0x10, body);
}

std::string Sessions::subscribe_of(const Session& session) {
  std::string body;
  put16(body, 1);  // packet id
  put8(body, 0);   // no properties
  put_text(body, std::string(messages_.topic(number_of(session))) + "/#");
  put8(body, 1);  // QoS
  return packet_of(0x82, body);
}

void Sessions::on_packet(Session& session, const Packet& packet) {
  if (packet.type() == Packet::connack && session.stage == Stage::connecting)
    on_connack(session, packet);
  else if (packet.type() == Packet::suback && session.stage == Stage::subscribing)
    on_suback(session, packet);
  else if (packet.type() == Packet::publish && session.stage >= Stage::taking)
    on_publish(session, packet);
  else
    throw Fault(name_of(session) + ": " + sessload::name_of(packet));
}

void Sessions::on_connack(Session& session, const Packet& packet) {
  Fields fields(packet.body);
  const bool was_there = fields.number8() == 1;
  if (const unsigned reason = fields.number8(); reason != 0)
    throw Fault(name_of(session) + " is refused, reason " + std::to_string(reason));
  if (was_there == options_.makes())
    throw Fault(name_of(session) + (was_there ? " was there before" : " is lost"));
  if (!options_.makes()) return on_ready(session);
  session.link.out() += subscribe_of(session);
  session.stage = Stage::subscribing;
}

void Sessions::on_suback(Session& session, const Packet& packet) {
  if (packet.body.empty() || packet.body.back() != 1)
    throw Fault(name_of(session) + " is not subscribed at QoS 1");
  on_ready(session);
}

void Sessions::on_ready(Session& session) {
  ++ready_;
  session.stage = Stage::taking;
  if (options_.makes() || options_.each == 0) leave(session);
}

void Sessions::on_publish(Session& session, const Packet& packet) {
  if (packet.qos() != 1) throw Fault(name_of(session) + ": a message that is not at QoS 1");
  Fields fields(packet.body);
  if (fields.bytes(fields.number16()) != messages_.topic(number_of(session)))
    throw Fault(name_of(session) + ": a message for another one");
  session.held.push_back(fields.number16());
  fields.skip_properties();
  if (packet.is_dup()) ++taken_.dup_flags;
  note(session, messages_.sequence_in(fields.rest(), number_of(session)));
  const bool has_all = session.next == options_.from + options_.each;
  if (!slow_ || has_all) acknowledge(session, session.held.size());
  if (has_all && session.stage == Stage::taking) leave(session);
}

void Sessions::note(Session& session, std::uint32_t sequence) {
  taken_.last = Clock::now();
  if (taken_.messages++ == 0) taken_.first = taken_.last;
  if (sequence < session.next) {
    ++taken_.repeated;
    return;
  }
  taken_.missing += sequence - session.next;
  session.next = sequence + 1;
}

void Sessions::on_closed(Session& session) {
  if (session.stage != Stage::leaving) throw Fault(name_of(session) + " was closed by the server");
  session.link.close();
  session.held = {};
  session.stage = Stage::gone;
  ++gone_;
}

// The oldest of those that it holds.
void Sessions::acknowledge(Session& session, std::size_t most) {
  const auto end =
      session.held.begin() + static_cast<std::ptrdiff_t>(std::min(most, session.held.size()));
  for (auto id = session.held.begin(); id != end; ++id) {
    put16(session.link.out(), 0x4002);
    put16(session.link.out(), *id);
  }
  session.held.erase(session.held.begin(), end);
}

void Sessions::acknowledge_now(Session& session, std::size_t most) {
  if (!session.link.is_open()) return;
  acknowledge(session, most);
  session.link.flush();
}

// The server closes.
void Sessions::leave(Session& session) {
  put16(session.link.out(), 0xe000);  // DISCONNECT
  session.stage = Stage::leaving;
}

}  // namespace sessload
