// What a connection does for a session that outlives it: the store's answers, the hub's positions.

#include <algorithm>
#include <memory>
#include <utility>

#include "base/together.h"
#include "mqtt/connection.h"
#include "sessions/sessions.h"
#include "topic/topic.h"

namespace sluice::mqtt {

namespace {

constexpr Logger logger("mqtt");
constexpr auto retry_delay = std::chrono::seconds(1);

hub::SubscribeOptions options_of(const sessions::Filter& filter, std::uint32_t window) {
  return {.qos = filter.qos,
          .no_local = filter.no_local,
          .retain_as_published = filter.retain_as_published,
          .id = filter.id,
          .window = window};
}

// Hands what was read again to a session.
class Fetch final : public hub::FetchSink {
 public:
  explicit Fetch(Session& session) : session_(session) {}
  bool on_fetched(const hub::FetchedRecord& record) override {
    // Its filter may be gone: what was begun is completed ([MQTT-3.10.4-4]).
    static constexpr hub::Grant none{};
    const hub::Delivery delivery{record.record, 1, record.grant ? record.grant : &none};
    return session_.on_fetched(
        {.prefix = record.prefix,
         .block = record.block,
         .deliveries = {&delivery, 1},
         .origin = record.is_retained ? hub::Origin::retained : hub::Origin::log,
         .partition = record.position.partition});
  }
  void on_gone(Position) override { session_.on_gone(); }

 private:
  Session& session_;
};

}  // namespace

void Connection::open(sessions::Opening opening) {
  if (!context_.sessions) return session_.on_opened(sessions::Opened{});
  context_.sessions->connect(
      std::move(opening), when_alive([](Connection& connection, Result<sessions::Opened>& opened) {
        connection.session_.on_opened(std::move(opened));
        connection.note_connected();
      }));
}

void Connection::restore(std::vector<sessions::Filter> filters, const std::vector<Position>& next,
                         const std::vector<sessions::RetainedRest>& retained) {
  std::vector<hub::StoredFilter> restored;
  restored.reserve(filters.size());
  for (sessions::Filter& filter : filters)
    restored.push_back({.text = filter.text,
                        .options = options_of(filter, session_.window_of(filter.qos)),
                        .since = std::move(filter.since),
                        .share = filter.share});
  auto then = when_alive(
      [](Connection& connection, const Result<void>& result) { connection.on_restored(result); });
  subscriber_ = context_.hub.restore(
      *this, session_.publisher(), std::move(restored), next, retained,
      [&loop = context_.loop, then](Result<void> result) {
        // Not within the call: the subscriber has no handle yet.
        loop.post([then, result = std::move(result)]() mutable { then(result); });
      });
}

void Connection::on_restored(const Result<void>& result) {
  if (result)
    session_.on_restored(tails());
  else
    session_.on_restored(std::unexpected(result.error()));
  note_connected();
}

// Where the tails of all partitions are that the session reads, but for replays.
std::vector<Position> Connection::tails() {
  std::vector<Position> all;
  for (const auto& subscription : context_.hub.describe(subscriber_).subscriptions) {
    if (topic::is_replay(subscription.filter)) continue;
    for (const Position& tail : context_.hub.tails(subscription.filter))
      if (std::ranges::find(all, tail.partition, &Position::partition) == all.end())
        all.push_back(tail);
  }
  return all;
}

std::vector<Position> Connection::positions() {
  return subscriber_.valid() ? context_.hub.positions(subscriber_) : std::vector<Position>{};
}

std::vector<sessions::ReplayPlace> Connection::replays() {
  if (!subscriber_.valid()) return {};
  return context_.hub.replays(subscriber_);
}

std::vector<sessions::RetainedRest> Connection::retained_rests() {
  if (!subscriber_.valid()) return {};
  return context_.hub.retained_rests(subscriber_);
}

// The hub calls nothing once the subscriber is gone, so not once its session is.
void Connection::fetch(std::vector<hub::WantedRecord> records) {
  const auto sink = std::make_shared<Fetch>(session_);
  context_.hub.fetch(
      subscriber_, std::move(records), *sink,
      [sink, ended = when_alive([](Connection& connection, const Result<std::size_t>&) {
               connection.session_.on_fetch_end();
               connection.after_event();
             })](const Result<std::size_t>& result) mutable { ended(result); });
}

bool Connection::has_output_room() { return unsent() < session_.limits().output_max; }

void Connection::resume_deliveries() {
  if (subscriber_.valid()) context_.hub.resume(subscriber_);
}

void Connection::subscribe_stored(std::uint32_t index, const std::string& filter,
                                  const hub::SubscribeOptions& options) {
  auto then = store_when_subscribed(index, filter, options);
  if (topic::is_shared(filter))
    return context_.hub.subscribe_shared(subscriber(), filter, options, session_.client_id(),
                                         std::move(then));
  hub::SubscribeOptions bounded = options;
  bounded.partitions_max = sessions::partitions_max;
  context_.hub.subscribe(subscriber(), filter, bounded, std::move(then));
}

Done<void> Connection::store_when_subscribed(std::uint32_t index, const std::string& filter,
                                             const hub::SubscribeOptions& options) {
  return when_alive([index, filter, options](Connection& connection, const Result<void>& result) {
    if (!result) return connection.on_subscribed(index, result);
    if (!connection.subscriber_.valid()) return;  // the client went, and heard nothing of it
    connection.store_filter(index, filter, options);
  });
}

void Connection::store_filter(std::uint32_t index, const std::string& filter,
                              const hub::SubscribeOptions& options) {
  // First how far it has come, from where on the filter counts: one that is replaced may have been
  // added long before.
  context_.sessions->save(session_.client_id(), session_.stored_uid(), session_.progress());
  context_.sessions->put_filter(
      session_.client_id(), session_.stored_uid(),
      {.text = filter,
       .qos = options.qos,
       .no_local = options.no_local,
       .retain_as_published = options.retain_as_published,
       .retain_handling = static_cast<std::uint8_t>(options.send_retained ? 0 : 2),
       .id = options.id,
       .since = topic::is_shared(filter) ? std::vector<Position>{}
                                         : context_.hub.since(subscriber_, filter),
       .share = context_.hub.share_of(subscriber_, filter)},
      when_alive([index](Connection& connection, const Result<void>& result) {
        connection.on_subscribed(index, result);
      }));
}

// UNSUBACK waits for what is saved after it.
void Connection::erase_filter(sessions::Uid uid, std::string_view filter, sessions::ShareId share) {
  context_.sessions->erase_filter(session_.client_id(), uid, std::string(filter), share,
                                  [](const Result<void>&) {});
}

void Connection::on_moved() { context_.unsaved.push_back(self_); }

// With PUBREL the client forgets a message, and its session soon does: by then the shared
// subscription that it came from must have done so, too.
void Connection::save(sessions::Progress progress) {
  auto saved = when_alive([](Connection& connection, const Result<void>& result) {
    connection.session_.on_saved(result);
    if (connection.left_) connection.leave_hub();
    connection.after_event();
  });
  if (!subscriber_.valid() || !context_.hub.holds_shares(subscriber_))
    return context_.sessions->save(session_.client_id(), session_.stored_uid(), std::move(progress),
                                   std::move(saved));
  const Together together(2, std::move(saved));
  context_.sessions->save(session_.client_id(), session_.stored_uid(), std::move(progress),
                          together.answer());
  context_.hub.save_shares(subscriber_, together.answer());
}

void Connection::keep(const hub::Ticket& ticket) {
  context_.hub.keep(ticket.membership, {&ticket.number, 1});
}

void Connection::save_behind() {
  if (left_) return;
  context_.sessions->save(session_.client_id(), session_.stored_uid(), session_.take_progress());
}

void Connection::save_now(Done<void> done) {
  context_.sessions->save(session_.client_id(), session_.stored_uid(), session_.take_progress(),
                          [done = std::move(done), mark = when_alive([](Connection& connection) {
                                                     connection.session_.note_moved();
                                                   })](const Result<void>& result) mutable {
                            if (!result) mark();
                            done(result);
                          });
}

bool Connection::hand_back() {
  if (handed_back_) return true;
  if (handing_back_ || !session_.is_settled()) return false;
  if (session_.stored_uid() == 0) return true;
  handing_back_ = true;
  context_.sessions->disconnect(session_.client_id(), session_.stored_uid(), session_.expiry_s(),
                                session_.has_will_waiting(), session_.progress(),
                                when_alive([](Connection& connection, const Result<void>& result) {
                                  connection.on_handed_back(result);
                                }));
  return false;
}

// Whoever comes next must find what the session has come to.
void Connection::on_handed_back(const Result<void>& result) {
  handing_back_ = false;
  handed_back_ = result || result.error().code == Errc::closed;
  if (handed_back_) return mark_dirty();
  logger.error("what a session has come to could not be stored; tried again",
               {{"client", session_.client_id()}, {"reason", result.error().text}});
  context_.loop.run_after(retry_delay,
                          when_alive([](Connection& connection) { connection.mark_dirty(); }));
}

}  // namespace sluice::mqtt
