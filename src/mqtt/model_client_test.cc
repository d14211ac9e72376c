#include "mqtt/model_client_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "topic/topic.h"

namespace sluice::mqtt {

namespace {

constexpr Version version = Version::v3_1_1;

int number_in(Bytes payload) {
  int number = -1;
  const std::string_view text = as_text(payload);
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

void ModelClient::connect(std::unique_ptr<sim::SimClient> wire, bool clean) {
  // A clean session ends with its connection. One that was asked for, and no answer seen, is asked
  // for again: nobody knows which session there is.
  if (clean_ && confirmed_) forget_session();
  clean = clean || (clean_ && !confirmed_);
  confirmed_ = false;
  wire_ = std::move(wire);
  accepted_ = false;
  clean_ = clean;
  if (clean) established_ = false;  // it ends, whether the answer is seen or not
  // What was asked on a connection that is gone has no answer: it may have been done or not.
  if (asked_) filters_.erase(*std::exchange(asked_, std::nullopt));
  removing_.reset();
  owed_.clear();
  Buffer out;
  encode_connect(out, {.version = version, .clean_start = clean, .client_id = id_});
  send(out);
}

void ModelClient::disconnect() {
  Buffer out;
  encode_disconnect(out, version, {.code = 0});
  send(out);
  wire_->close();
  cut();
}

void ModelClient::publish() {
  const std::uint16_t id = next_id_;
  next_id_ = static_cast<std::uint16_t>(next_id_ % 7 + 1);  // few ids: they come again soon
  if (std::ranges::find(open_, id, &std::pair<std::uint16_t, Sent>::first) != open_.end()) return;
  open_.push_back({id, {.number = next_number_++}});
  send_publish(id, open_.back().second, false);
}

void ModelClient::subscribe(const std::string& filter) {
  if (!may_ask()) return;
  asked_ = filter;
  const bool stands = filters_.contains(filter) && filters_[filter].granted;
  if (!stands) filters_[filter] = {};
  Buffer filters;
  append_subscription(filters, {.filter = filter, .qos = 2});
  Buffer out;
  encode_subscribe(out, version, {.packet_id = 100, .properties = {}, .filters = filters});
  send(out);
}

void ModelClient::unsubscribe(const std::string& filter) {
  if (!may_ask() || filters_.erase(filter) == 0) return;
  removing_ = filter;
  Buffer filters;
  append_filter(filters, filter);
  Buffer out;
  encode_unsubscribe(out, version, {.packet_id = 101, .properties = {}, .filters = filters});
  send(out);
}

void ModelClient::step(Random& random, const std::vector<const ModelClient*>& publishers,
                       bool all) {
  if (!wire_) return;
  while (wire_) {
    const auto cut_frame = decode_frame(wire_->received(), 1 << 28, version);
    if (!cut_frame || std::holds_alternative<NeedMore>(*cut_frame)) break;
    const Frame frame = std::get<Frame>(*cut_frame);
    take(frame, publishers);
    wire_->take(frame.size);
  }
  while (!owed_.empty() && (all || random.one_in(2))) {
    send_ack(owed_.front().first, owed_.front().second);
    owed_.pop_front();
  }
  if (wire_->ended()) cut();
}

void ModelClient::take(const Frame& frame, const std::vector<const ModelClient*>& publishers) {
  switch (frame.type) {
    case PacketType::connack:
      return on_connack(decode_connack(frame.body, version).value());
    case PacketType::publish:
      return on_publish(decode_publish(frame, version).value());
    case PacketType::pubrel: {
      const std::uint16_t id = decode_ack(frame.body, version)->packet_id;
      held_.erase(id);
      return owed_.push_back({PacketType::pubcomp, id});
    }
    case PacketType::pubrec: {
      const std::uint16_t id = decode_ack(frame.body, version)->packet_id;
      for (auto& [open, sent] : open_)
        if (open == id) sent.received = true;
      return owed_.push_back({PacketType::pubrel, id});
    }
    case PacketType::pubcomp: {
      const std::uint16_t id = decode_ack(frame.body, version)->packet_id;
      std::erase_if(open_, [id](const auto& open) { return open.first == id; });
      return;
    }
    case PacketType::suback: {
      Filter& filter = filters_[*std::exchange(asked_, std::nullopt)];
      if (std::exchange(filter.granted, true)) return;
      for (const ModelClient* publisher : publishers)
        filter.from[publisher->topic()] = publisher->published();
      return;
    }
    case PacketType::unsuback:
      removing_.reset();
      return;
    default:
      failures_.push_back(fmt::format("{}: a packet {}", id_, to_string(frame.type)));
  }
}

void ModelClient::on_connack(const Connack& connack) {
  accepted_ = confirmed_ = true;
  if (connack.code != 0) failures_.push_back(fmt::format("{}: CONNACK {}", id_, connack.code));
  if (clean_ && connack.session_present)
    failures_.push_back(fmt::format("{}: a session after Clean Session", id_));
  if (!connack.session_present) {
    if (!clean_ && established_) failures_.push_back(fmt::format("{}: the session is gone", id_));
    forget_session();
  }
  established_ = !clean_;
  for (const auto& [id, sent] : open_) {
    if (sent.received)
      send_ack(PacketType::pubrel, id);
    else
      send_publish(id, sent, true);
  }
}

// The client's part of it, too: its publishes may have been taken or not.
void ModelClient::forget_session() {
  held_.clear();
  filters_.clear();
  for (const auto& [id, sent] : open_)
    if (!sent.received) uncertain_.insert(sent.number);
  open_.clear();
}

void ModelClient::expire() {
  established_ = false;
  forget_session();
}

void ModelClient::on_publish(const Publish& publish) {
  if (publish.qos != 2) failures_.push_back(fmt::format("{}: QoS {}", id_, publish.qos));
  if (held_.insert(publish.packet_id).second)
    received_[std::string(publish.topic)].push_back(number_in(publish.payload));
  owed_.push_back({PacketType::pubrec, publish.packet_id});
}

void ModelClient::send_publish(std::uint16_t id, const Sent& sent, bool dup) {
  const std::string payload = fmt::format("{}", sent.number);
  const OutgoingPublish publish{
      .topic = topic_, .payload = as_bytes(payload), .packet_id = id, .qos = 2, .dup = dup};
  Buffer out;
  encode_publish(out, version, publish, measure_publish(version, publish));
  send(out);
}

void ModelClient::send_ack(PacketType type, std::uint16_t id) {
  Buffer out;
  encode_ack(out, version, type, {.packet_id = id});
  send(out);
}

}  // namespace sluice::mqtt
