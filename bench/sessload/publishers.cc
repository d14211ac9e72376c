#include "sessload/publishers.h"

#include <algorithm>

namespace sessload {

namespace {

std::uint16_t packet_id_of(std::uint64_t message) {
  return static_cast<std::uint16_t>(message % 65535 + 1);
}

}  // namespace

Publishers::Publishers(const Options& options, int epoll, std::uint32_t key)
    : options_(options), messages_(options), epoll_(epoll), key_(key), all_(options.publishers) {
  for (std::uint32_t i = 0; i < all_.size(); ++i)
    all_[i].sessions = (options.sessions - i - 1) / options.publishers + 1;
}

void Publishers::open() {
  for (std::uint32_t i = 0; i < all_.size(); ++i) {
    std::string body;
    put_text(body, "MQTT");
    put8(body, 5);
    put8(body, 2);   // clean start
    put16(body, 0);  // no keep-alive
    put8(body, 0);   // no properties
    put_text(body, options_.prefix + "-publisher-" + std::to_string(i));
    all_[i].link.open(epoll_, key_ + i, options_.port, Link::loopback);
    all_[i].link.out() = packet_of(0x10, body);
  }
}

void Publishers::publish(double elapsed_s) {
  const double due = elapsed_s * options_.rate / options_.publishers;
  for (Publisher& publisher : all_) {
    const std::uint64_t sent = publisher.sent;
    std::uint64_t size = allowed(publisher);
    if (options_.rate > 0)
      size = std::min(size, std::max(static_cast<std::uint64_t>(due), sent) - sent);
    publish(publisher, size);
    publisher.link.flush();
  }
}

void Publishers::on_event(std::uint32_t key, std::uint32_t events, std::vector<char>& buffer) {
  Publisher& publisher = all_[key - key_];
  const auto take = [&](const Packet& packet) { on_packet(publisher, packet); };
  if (events != EPOLLOUT && !publisher.link.read(buffer, take))
    throw Fault("a publisher was closed by the server");
  // Half a window at least, so that packets go together.
  const std::uint64_t size = allowed(publisher);
  if (are_connected() && options_.rate == 0 &&
      (size >= options_.window / 2 || size == left(publisher)))
    publish(publisher, size);
  publisher.link.flush();
}

void Publishers::on_packet(Publisher& publisher, const Packet& packet) {
  if (packet.type() == Packet::connack && !publisher.connected) {
    if (packet.body.size() < 2 || packet.body[1] != 0) throw Fault("a publisher is refused");
    publisher.connected = true;
    ++connected_;
  } else if (packet.type() == Packet::puback && publisher.acknowledged < publisher.sent) {
    on_puback(publisher, packet);
  } else {
    throw Fault("a publisher: " + name_of(packet));
  }
}

// They come in the order of the messages (4.6).
void Publishers::on_puback(Publisher& publisher, const Packet& packet) {
  Fields fields(packet.body);
  if (fields.number16() != packet_id_of(publisher.acknowledged))
    throw Fault("a publisher: an acknowledgement out of its turn");
  if (!fields.rest().empty() && fields.number8() >= 0x80) throw Fault("a message was refused");
  ++publisher.acknowledged;
  ++acknowledged_;
}

std::uint64_t Publishers::left(const Publisher& publisher) const {
  return std::uint64_t{publisher.sessions} * options_.each - publisher.sent;
}

// How much its window allows; nothing while the server does not read.
std::uint64_t Publishers::allowed(const Publisher& publisher) const {
  if (publisher.link.waits_for_room()) return 0;
  return std::min(left(publisher), options_.window - (publisher.sent - publisher.acknowledged));
}

void Publishers::publish(Publisher& publisher, std::uint64_t size) {
  for (; size > 0; --size) put_publish(publisher);
}

void Publishers::put_publish(Publisher& publisher) {
  const auto place = static_cast<std::uint32_t>(&publisher - all_.data());
  const auto turn = static_cast<std::uint32_t>(publisher.sent % publisher.sessions);
  const std::uint32_t number = options_.first + place + turn * options_.publishers;
  const std::uint32_t sequence =
      options_.from + static_cast<std::uint32_t>(publisher.sent / publisher.sessions);
  const std::string_view topic = messages_.topic(number);
  std::string& out = publisher.link.out();
  put8(out, 0x32);
  put_variable(out, 2 + topic.size() + 2 + 1 + options_.payload);
  put_text(out, topic);
  put16(out, packet_id_of(publisher.sent++));
  put8(out, 0);  // no properties
  messages_.put_payload(out, number, sequence);
}

}  // namespace sessload
