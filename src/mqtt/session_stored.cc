// Sessions that outlive their connections (MQTT 5, section 4.1): taken up at CONNECT, saved while
// they go on, handed back at the end. What must be durable before which packet leaves stands in
// docs/decisions/0015.

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "mqtt/encode.h"
#include "mqtt/loss.h"
#include "mqtt/session.h"
#include "mqtt/session_state.h"
#include "topic/topic.h"

namespace sluice::mqtt {

namespace {

constexpr std::size_t fetched_at_once = 64;

sessions::SentState to_stored(SendState state) {
  switch (state) {
    case SendState::sent_qos1:
      return sessions::SentState::qos1;
    case SendState::sent_qos2:
      return sessions::SentState::qos2;
    default:
      SLUICE_ASSERT(state == SendState::released);
      return sessions::SentState::released;
  }
}

SendState from_stored(sessions::SentState state) {
  switch (state) {
    case sessions::SentState::qos1:
      return SendState::sent_qos1;
    case sessions::SentState::qos2:
      return SendState::sent_qos2;
    default:
      return SendState::released;
  }
}

}  // namespace

// --- taking up

void Session::ask_for_session(std::uint32_t expiry_s) {
  asked_for_session_ = expiry_s > 0;
  if (expiry_s == 0) return;
  stored_ = std::make_unique<Stored>();
  stored_->asked_expiry_s = expiry_s;
}

std::uint32_t Session::granted_expiry_s() const {
  return stored_ ? std::min(stored_->asked_expiry_s, context_.limits.session_expiry_max_s) : 0;
}

void Session::open() {
  sessions::Opening opening{.client_id = client_id(),
                            .clean = clean_start_,
                            .expiry_s = granted_expiry_s(),
                            .will = std::nullopt};
  if (will_ && opening.expiry_s > 0)
    opening.will = {.topic = will_->topic,
                    .payload = will_->payload,
                    .properties = will_->properties,
                    .qos = will_->qos,
                    .retain = will_->retain,
                    .delay_s = will_->delay_s};
  opening_ = true;
  host_.open(std::move(opening));
}

void Session::on_opened(Result<sessions::Opened> opened) {
  opening_ = false;
  if (opened && opened->uid != 0) take_up(*opened);
  if (state_ != State::claiming) return;  // over meanwhile: it is handed back
  if (!opened) {
    waits_ &= static_cast<std::uint8_t>(~wait_login);
    return refuse_connect(version_,
                          {Reason::server_unavailable, "the session could not be opened"});
  }
  if (!opened->present) return accept(false);
  std::erase_if(opened->filters,
                [this](const sessions::Filter& filter) { return !may_go_on(filter); });
  for (sessions::Filter& filter : opened->filters)
    if (topic::is_replay(filter.text)) filter.since = sessions::place_of(filter, opened->progress);
  filters_ = static_cast<std::uint16_t>(opened->filters.size());
  host_.restore(std::move(opened->filters), stored_->next, stored_->retained);
}

// Permissions may have changed, or another user come.
bool Session::may_go_on(const sessions::Filter& filter) {
  if (unrestricted_) return true;
  if (topic::is_replay(filter.text)) return may_subscribe(host_.topics_of_replay(filter.text));
  const auto shared = topic::parse_shared(filter.text);
  return may_subscribe(shared && *shared ? (*shared)->filter : std::string_view(filter.text));
}

// Whoever may have the filter by which it came may have its topic.
bool Session::may_get(const hub::DeliveryBatch& batch) {
  if (unrestricted_) return true;
  const log::Record& record = batch.block->records()[batch.deliveries.front().record];
  return may_subscribe(std::string(batch.prefix) + std::string(as_text(batch.block->key(record))));
}

void Session::take_up(const sessions::Opened& opened) {
  if (!stored_) stored_ = std::make_unique<Stored>();
  stored_->uid = opened.uid;
  stored_->expiry_s = granted_expiry_s();
  const sessions::Progress& progress = opened.progress;
  stored_->next = progress.next;
  stored_->replays = progress.replays;
  stored_->retained = progress.retained;
  stored_->lost = progress.lost;
  durable_up_to_ = progress.received;
  next_sequence_ = progress.received + 1;
  for (const std::uint16_t id : progress.open) {
    inbound().qos2.set(id, ReceiveState::received);
    ++open_publishes_;
  }
  std::vector<Outbound::InFlight>& again = stored_->again.messages;
  for (const auto& [id, state, position, group, retained_topic] : progress.in_flight)
    again.push_back({id, from_stored(state), position, group, retained_topic});
  outbound_.keep_positions();
  outbound_.restore(again, progress.next_packet_id,
                    opened.crashed ? outbound_.window().limit() : 0);
}

void Session::on_restored(Result<std::vector<Position>> live_from) {
  if (state_ != State::claiming) return;
  if (!live_from) {
    waits_ &= static_cast<std::uint8_t>(~wait_login);
    return refuse_connect(version_,
                          {Reason::server_unavailable, "the session could not be restored"});
  }
  stored_->next.clear();
  stored_->replays.clear();
  stored_->retained.clear();
  if (!context_.limits.offline_qos0) stored_->live_from = std::move(*live_from);
  accept(true);
  if (state_ == State::connected) send_again();
}

// --- what was in flight

// In the order in which it was sent before ([MQTT-4.6.0-1], [MQTT-4.4.0-1]), within the receive
// maximum of now; only then comes what the client has not been sent yet.
void Session::send_again() {
  Stored& stored = *stored_;
  if (stored.fetching) return;
  auto& [again, at, open] = stored.again;
  const auto has_room = [&] { return open < outbound_.window().limit(); };
  for (; at < again.size() && has_room() && again[at].state == SendState::released; ++at, ++open)
    send_ack(PacketType::pubrel, again[at].packet_id);
  if (at == again.size()) {
    again.clear();
    return host_.resume_deliveries();
  }
  if (!has_room() || !host_.has_output_room()) return;  // goes on with go_on()
  std::vector<hub::WantedRecord> records;
  for (auto i = at;
       i < again.size() && again[i].state != SendState::released &&
       records.size() < std::min<std::size_t>(fetched_at_once, outbound_.window().limit() - open);
       ++i)
    records.push_back({.position = again[i].position,
                       .replay = again[i].group,
                       .retained_topic = again[i].retained_topic});
  stored.fetching = true;
  host_.fetch(std::move(records));
}

bool Session::on_fetched(const hub::DeliveryBatch& batch) {
  if (state_ != State::connected || !host_.has_output_room()) return false;
  auto& [again, at, open] = stored_->again;
  const std::uint16_t id = again[at++].packet_id;
  if (outbound_.window().state(id) == SendState::none) return true;  // acknowledged nevertheless
  if (!may_get(batch)) {
    context_.counters.dropped_not_authorized.add();
    outbound_.finish(id);
  } else if (outbound_.send_again(id, batch, host_.control_output(), context_.delivery)) {
    ++open;
  } else {
    context_.counters.dropped_too_large.add();
    outbound_.finish(id);
  }
  return true;
}

void Session::on_gone() {
  if (state_ != State::connected) return;
  const auto& [id, state, position, group, retained_topic] =
      stored_->again.messages[stored_->again.at++];
  if (retained_topic.empty()) {
    context_.counters.dropped_retention.add();
    note_lost(hub::Loss::retention, 1);
  }
  if (outbound_.window().state(id) != SendState::none) outbound_.finish(id);
}

void Session::on_fetch_end() {
  stored_->fetching = false;
  if (state_ == State::connected) send_again();
}

void Session::go_on() {
  if (stored_ && state_ == State::connected && !stored_->again.messages.empty()) send_again();
}

// --- saving

Buffer& Session::output_for(const hub::DeliveryBatch& batch, Buffer& out) {
  if (!stored_ || context_.omit.publish) return out;
  const bool is_held = !stored_->held.empty() ||
                       std::ranges::any_of(batch.deliveries, [](const hub::Delivery& delivery) {
                         return delivery.grant->qos == 2;
                       });
  return is_held ? stored_->held : out;
}

// A replay is asked for what is older.
Offset Session::live_from(const hub::DeliveryBatch& batch) {
  const bool is_replay = batch.deliveries.front().grant->replay != 0;
  if (batch.origin != hub::Origin::log || is_replay) return {};
  auto& all = stored_->live_from;
  const auto found = std::ranges::find(all, batch.partition, &Position::partition);
  if (found == all.end()) return {};
  const Offset from = found->offset;
  if (batch.block->from() >= from) all.erase(found);
  return from;
}

Buffer& Session::answer_when_saved() {
  Buffer& out = answer();  // so that the turn's end is told
  return stored_ ? stored_->held : out;
}

std::size_t Session::deliver_stored(const hub::DeliveryBatch& batch, std::size_t done,
                                    std::size_t out_max, Buffer& out) {
  context_.delivery.live_from = live_from(batch);
  const std::size_t taken = outbound_.deliver(batch, done, out_max, out, context_.delivery);
  context_.delivery.live_from = {};
  if (taken > 0) note_moved();
  return taken;
}

bool Session::has_room_again() {
  return outbound_.window().has_room_again() &&
         (!stored_ || stored_->held.size() <= context_.limits.output_max / 2);
}

void Session::end_turn() {
  if (!stored_ || stored_->saving || stored_->held.empty() || state_ != State::connected) return;
  stored_->saving = true;
  stored_->covered = stored_->held.size();
  outbound_.begin_keeping();
  host_.save(progress());
}

void Session::on_saved(const Result<void>& result) {
  outbound_.end_keeping(result.has_value(),
                        [this](const hub::Ticket& ticket) { host_.keep(ticket); });
  if (state_ != State::connected) return;
  if (!result)
    return on_ended_by_server(Reason::implementation_specific,
                              "what an exchange of QoS 2 relies on could not be stored");
  Buffer& held = stored_->held;
  append(host_.control_output(), Bytes(held).first(stored_->covered));
  const std::size_t rest = held.size() - stored_->covered;
  std::memmove(held.data(), held.data() + stored_->covered, rest);
  held.resize(rest);
  stored_->saving = false;
}

void Session::note_moved() {
  if (!stored_ || std::exchange(stored_->unsaved, true)) return;
  host_.on_moved();
}

void Session::note_lost(hub::Loss why, std::uint64_t offsets) {
  add_loss(stored_->lost, why, offsets);
  note_moved();
}

sessions::Uid Session::stored_uid() const { return stored_ ? stored_->uid : 0; }

std::uint32_t Session::expiry_s() const { return stored_->expiry_s; }

sessions::Progress Session::take_progress() {
  stored_->unsaved = false;
  return progress();
}

void Session::on_detached() {
  if (!stored_ || !hub_knows_place()) return;
  stored_->next = host_.positions();
  stored_->replays = host_.replays();
  stored_->retained = host_.retained_rests();
}

bool Session::hub_knows_place() const { return stored_->next.empty() && stored_->replays.empty(); }

sessions::Progress Session::progress() {
  sessions::Progress progress;
  progress.next = hub_knows_place() ? host_.positions() : stored_->next;
  progress.replays = hub_knows_place() ? host_.replays() : stored_->replays;
  progress.retained = hub_knows_place() ? host_.retained_rests() : stored_->retained;
  for (const auto& [id, state, position, group, retained_topic] : outbound_.stored_in_flight())
    progress.in_flight.push_back({id, to_stored(state), position, group, retained_topic});
  progress.next_packet_id = outbound_.window().next();
  progress.received = durable_up_to_;
  if (inbound_)
    inbound_->qos2.for_each_received([&](std::uint16_t id) { progress.open.push_back(id); });
  progress.lost = stored_->lost;
  return progress;
}

}  // namespace sluice::mqtt
