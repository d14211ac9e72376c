#include "mqtt/outbound.h"

#include <algorithm>
#include <utility>

#include "mqtt/property.h"

namespace sluice::mqtt {

namespace {

// The lower of what was granted and what the publisher used. A record that no MQTT publisher made
// has no QoS of its own and goes at the grant's.
std::uint8_t qos_of(const hub::Grant& grant, const log::Record& record) {
  std::uint8_t qos = grant.qos;
  if ((record.flags & log::Record::has_packed) != 0)
    qos = std::min(qos, static_cast<std::uint8_t>(record.flags & log::Record::qos_mask));
  return qos;
}

std::string topic_of(const hub::DeliveryBatch& batch, std::uint32_t index) {
  const log::Block& block = *batch.block;
  return std::string(batch.prefix) + std::string(as_text(block.key(block.records()[index])));
}

void encode_message_properties(const hub::Properties& properties, Buffer& out) {
  PropertyWriter writer(out);
  if (properties.payload_is_utf8)
    writer.number(PropertyId::payload_format, *properties.payload_is_utf8 ? 1 : 0);
  if (properties.content_type) writer.text(PropertyId::content_type, *properties.content_type);
  if (properties.response_topic)
    writer.text(PropertyId::response_topic, *properties.response_topic);
  if (properties.correlation_data)
    writer.data(PropertyId::correlation_data, *properties.correlation_data);
  for (const auto& [name, value] : properties.user) writer.user(name, value);
}

}  // namespace

void Outbound::configure(const Limits& limits) {
  version_ = limits.version;
  window_.set_limit(limits.receive_maximum);
  packet_max_ = limits.packet_max;
  if (limits.topic_aliases > 0)
    extras().aliases.emplace(std::min(limits.topic_aliases, SentAliases::count_max));
}

std::size_t Outbound::deliver(const hub::DeliveryBatch& batch, std::size_t done,
                              std::size_t out_max, Buffer& out, DeliveryContext& context) {
  if (context.live_from == Offset{0} && shares(batch)) {
    auto state = context.shared.find(batch, done, version_, context.now);
    if (state == SharedPackets::State::wanted) state = encode_shared(batch, context);
    if (state == SharedPackets::State::ready) {
      const std::size_t count = context.shared.copy(done, out_max, out);
      context.counters.delivered[0]->add(count);
      return count;
    }
  }
  std::size_t skip = done;
  std::size_t taken = 0;
  for (const auto& [first, count, grant] : batch.deliveries) {
    if (skip >= count) {
      skip -= count;
      continue;
    }
    for (auto i = first + static_cast<std::uint32_t>(std::exchange(skip, 0)); i < first + count;
         ++i) {
      if (out.size() >= out_max) return taken;
      OutgoingPublish publish;
      const bool expired = !describe(batch, i, *grant, context, publish);
      if (expired)
        context.counters.dropped_expired.add();
      else if (is_missed(batch, i, publish, context))
        context.counters.dropped_offline.add();
      else if (deliver_one(publish, batch.block->records()[i].key_hash, out, context) ==
               Outcome::full)
        return taken;
      if (extras_ || batch.origin == hub::Origin::shared)
        note_sent(batch, done + taken, i, *grant, publish.packet_id, context);
      ++taken;
    }
  }
  return taken;
}

// At QoS 0 what came while the client was away.
bool Outbound::is_missed(const hub::DeliveryBatch& batch, std::uint32_t index,
                         const OutgoingPublish& publish, const DeliveryContext& context) {
  return publish.qos == 0 && context.live_from > Offset{0} &&
         batch.block->from() + batch.block->records()[index].offset_delta < context.live_from;
}

void Outbound::note_sent(const hub::DeliveryBatch& batch, std::size_t number, std::uint32_t index,
                         const hub::Grant& grant, std::uint16_t packet_id,
                         DeliveryContext& context) {
  const bool is_shared = batch.origin == hub::Origin::shared;
  if (is_shared) note_ticket(batch, number, packet_id, context);
  if (packet_id == 0 || !extras_ || !extras_->positions) return;
  SentPositions& positions = *extras_->positions;
  const auto position = place_of(batch, index);
  if (!position) return positions.put(packet_id, window_.span(), std::nullopt);
  const SentPositions::Sent sent{.position = *position,
                                 .group = is_shared ? batch.group : grant.replay};
  if (batch.origin == hub::Origin::retained)
    positions.set_retained(packet_id, topic_of(batch, index));
  if (!is_shared) return positions.put(packet_id, window_.span(), sent);
  // A message of a shared subscription goes to another member, if this one goes; but for one of QoS
  // 2 that was saved.
  positions.put(packet_id, window_.span(), std::nullopt);
  if (window_.state(packet_id) == SendState::sent_qos2)
    extras_->unsaved.emplace_back(packet_id, sent);
}

std::optional<Position> Outbound::place_of(const hub::DeliveryBatch& batch, std::uint32_t index) {
  if (batch.origin != hub::Origin::retained)
    return Position{batch.partition,
                    batch.block->from() + batch.block->records()[index].offset_delta};
  if (batch.published_at.empty()) return std::nullopt;
  return Position{batch.partition, batch.published_at[index]};
}

void Outbound::begin_keeping() {
  if (!extras_) return;
  for (const auto& [id, sent] : std::exchange(extras_->unsaved, {})) {
    if (window_.state(id) == SendState::none) continue;
    extras_->positions->set(id, sent);
    extras_->keeping.push_back(id);
  }
}

std::vector<Outbound::InFlight> Outbound::stored_in_flight() const {
  std::vector<InFlight> all;
  if (!extras_ || !extras_->positions) return all;
  all.reserve(window_.in_flight());
  window_.for_each([&](std::uint16_t id, SendState state) {
    if (const auto sent = extras_->positions->get(id))
      all.push_back({id, state, sent->position, sent->group,
                     state == SendState::released ? "" : extras_->positions->retained(id)});
  });
  return all;
}

void Outbound::restore(std::span<const InFlight> in_flight, std::uint16_t next_packet_id,
                       std::uint32_t maybe_sent) {
  std::vector<SendWindow::Sent> sent;
  for (const InFlight& one : in_flight) sent.push_back({one.packet_id, one.state});
  window_.restore(sent, next_packet_id);
  for (const auto& [id, state, position, group, retained_topic] : in_flight) {
    if (window_.state(id) == SendState::none) continue;
    extras().positions->put(id, window_.span_to(id),
                            SentPositions::Sent{.position = position, .group = group});
    if (!retained_topic.empty()) extras().positions->set_retained(id, retained_topic);
  }
  extras().maybe_sent = maybe_sent;
}

bool Outbound::send_again(std::uint16_t packet_id, const hub::DeliveryBatch& batch, Buffer& out,
                          DeliveryContext& context) {
  const auto& [index, count, grant] = batch.deliveries.front();
  OutgoingPublish publish;
  // What has expired meanwhile is sent all the same: the client may have it, and wait for more.
  static_cast<void>(describe(batch, index, *grant, context, publish));
  publish.qos = window_.state(packet_id) == SendState::sent_qos1 ? 1 : 2;
  publish.packet_id = packet_id;
  publish.dup = true;
  const PublishSize size = measure_publish(version_, publish);
  if (packet_max_ != 0 && size.total > packet_max_) return false;
  encode_publish(out, version_, publish, size);
  context.counters.delivered[publish.qos]->add();
  return true;
}

void Outbound::note_ticket(const hub::DeliveryBatch& batch, std::size_t number,
                           std::uint16_t packet_id, DeliveryContext& context) {
  const hub::Ticket ticket{batch.membership, batch.first_ticket + number};
  if (packet_id == 0) return context.settled.push_back(ticket.number);
  extras().tickets.put(packet_id, ticket);
}

std::optional<hub::Ticket> Outbound::finish(std::uint16_t packet_id) {
  window_.finish(packet_id);
  if (extras_ && extras_->positions) extras_->positions->forget_retained(packet_id);
  return extras_ ? extras_->tickets.take(packet_id) : std::nullopt;
}

void Outbound::release_memory_if_empty() {
  window_.release_memory_if_empty();
  if (!extras_ || !extras_->tickets.empty()) return;
  extras_->tickets = {};
  if (extras_->positions && window_.in_flight() == 0) extras_->positions->release_memory();
  if (!extras_->aliases && !extras_->positions) extras_.reset();
}

// What a record becomes for this session, but for packet id and topic alias. False: it has expired.
bool Outbound::describe(const hub::DeliveryBatch& batch, std::uint32_t index,
                        const hub::Grant& grant, DeliveryContext& context,
                        OutgoingPublish& publish) const {
  const log::Block& block = *batch.block;
  const log::Record& record = block.records()[index];
  const bool published_with_retain = (record.flags & log::Record::retain) != 0;
  publish.topic_prefix = batch.prefix;
  publish.topic = as_text(block.key(record));
  publish.payload = block.value(record);
  publish.qos = qos_of(grant, record);
  // [MQTT-3.3.1-8], [MQTT-3.3.1-12], [MQTT-3.3.1-13]
  publish.retain =
      batch.origin == hub::Origin::retained || (grant.retain_as_published && published_with_retain);
  publish.subscription_ids = grant.ids;
  return (record.flags & log::Record::has_properties) == 0 ||
         add_properties(publish, block, record, context);
}

bool Outbound::shares(const hub::DeliveryBatch& batch) const {
  return !aliases() && packet_max_ == 0 && batch.origin != hub::Origin::shared &&
         std::ranges::all_of(batch.deliveries, [](const hub::Delivery& delivery) {
           return delivery.grant->qos == 0 && delivery.grant->ids.empty();
         });
}

// What expires just now is counted for each subscriber, so it is not shared.
SharedPackets::State Outbound::encode_shared(const hub::DeliveryBatch& batch,
                                             DeliveryContext& context) const {
  Buffer& out = context.shared.begin();
  for (const auto& [first, count, grant] : batch.deliveries) {
    for (std::uint32_t i = first; i < first + count; ++i) {
      OutgoingPublish publish;
      if (!describe(batch, i, *grant, context, publish)) return context.shared.finish(false);
      encode_publish(out, version_, publish, measure_publish(version_, publish));
      context.shared.end_packet();
    }
  }
  return context.shared.finish(true);
}

Outbound::Outcome Outbound::deliver_one(OutgoingPublish& publish, std::uint32_t topic_hash,
                                        Buffer& out, DeliveryContext& context) {
  if (publish.qos > 0 && window_.full()) return Outcome::full;
  const std::string_view prefix = publish.topic_prefix;
  const std::string_view key = publish.topic;
  PublishSize size = measure_publish(version_, publish);
  const std::uint16_t new_alias = aliases() ? use_alias(publish, topic_hash, size) : 0;
  if (packet_max_ != 0 && size.total > packet_max_) {
    context.counters.dropped_too_large.add();
    return Outcome::dropped;
  }
  if (publish.qos > 0) publish.packet_id = window_.take(publish.qos);
  if (publish.qos == 1 && extras_ && extras_->maybe_sent > 0) {
    publish.dup = true;
    --extras_->maybe_sent;
  }
  encode_publish(out, version_, publish, size);
  if (new_alias != 0) aliases()->define(new_alias, prefix, key);
  context.counters.delivered[publish.qos]->add();
  return Outcome::written;
}

std::uint16_t Outbound::use_alias(OutgoingPublish& publish, std::uint32_t topic_hash,
                                  PublishSize& size) {
  const auto choice = aliases()->choose(publish.topic_prefix, publish.topic, topic_hash);
  if (choice.alias == 0) return 0;
  publish.topic_alias = choice.alias;
  if (choice.known) publish.topic_prefix = publish.topic = {};
  const PublishSize with_alias = measure_publish(version_, publish);
  if (!choice.known && packet_max_ != 0 && with_alias.total > packet_max_) {
    publish.topic_alias = 0;
    return 0;
  }
  size = with_alias;
  return choice.known ? 0 : choice.alias;
}

bool Outbound::add_properties(OutgoingPublish& publish, const log::Block& block,
                              const log::Record& record, DeliveryContext& context) const {
  const auto decoded = hub::decode_headers(block, record, context.properties);
  context.encoded.clear();
  if (decoded.packed && decoded.packed->expiry_s) {
    const std::int64_t expires =
        block.timestamp(record) + std::int64_t{*decoded.packed->expiry_s} * 1000;
    if (expires <= context.now) return false;
    const std::int64_t rest_s =
        std::min<std::int64_t>((expires - context.now + 999) / 1000, *decoded.packed->expiry_s);
    PropertyWriter(context.encoded)
        .number(PropertyId::message_expiry, static_cast<std::uint32_t>(rest_s));
  }
  encode_message_properties(context.properties, context.encoded);
  publish.properties = {context.encoded};
  return true;
}

}  // namespace sluice::mqtt
