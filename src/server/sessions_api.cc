#include "server/sessions_api.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/logger.h"
#include "base/start_point.h"
#include "mqtt/session_removal.h"
#include "server/backlog.h"
#include "server/client_json.h"

namespace sluice::server {

namespace {

constexpr Logger logger("admin");

JsonObject summary_json(const sessions::Summary& session) {
  const sessions::Left& left = session.left;
  const bool expires = left.expiry_s != sessions::never_expires;
  JsonObject out;
  out.add("client_id", session.client_id).add("connected", session.connected);
  if (!session.connected)
    out.add("away_since", format_time(left.gone_at)).add("crashed", session.crashed);
  if (!session.connected && expires)
    out.add("expires", format_time(left.gone_at + std::int64_t{left.expiry_s} * 1000));
  if (expires) out.add("expiry_s", left.expiry_s);
  out.add("has_will", session.has_will);
  return out;
}

std::string page_json(const sessions::Page& page) {
  std::vector<std::string> rows;
  rows.reserve(page.sessions.size());
  for (const auto& session : page.sessions) rows.push_back(summary_json(session).str());
  JsonObject out;
  out.add_raw("sessions", json_array(rows));
  if (page.has_more && !page.sessions.empty()) out.add("next", page.sessions.back().client_id);
  return out.str();
}

std::string backlog_json(const std::string& stream, const Backlog& backlog) {
  JsonObject out;
  out.add("stream", stream)
      .add("partition", backlog.next.partition.index)
      .add("next", backlog.next.offset.value);
  if (backlog.bounds)
    out.add("end", backlog.bounds->visible_end.value)
        .add("records", backlog.records())
        .add("lost_to_retention", backlog.lost());
  return out.str();
}

std::string details_json(const sessions::Details& details, const stream::Catalogue& catalogue,
                         const std::vector<Backlog>& backlogs) {
  std::vector<hub::SubscriberState::Subscription> subscriptions;
  subscriptions.reserve(details.filters.size());
  for (const sessions::Filter& filter : details.filters)
    subscriptions.push_back({filter.text,
                             {.qos = filter.qos,
                              .no_local = filter.no_local,
                              .retain_as_published = filter.retain_as_published,
                              .id = filter.id}});
  std::vector<std::string> positions;
  for (const Backlog& backlog : backlogs)
    if (const auto* stream = catalogue.find(backlog.next.partition.stream))
      positions.push_back(backlog_json(stream->name, backlog));
  return summary_json(details.summary)
      .add("in_flight_from", details.progress.open.size())
      .add("in_flight_to", details.progress.in_flight.size())
      .add("subscription_count", subscriptions.size())
      .add_raw("subscriptions", subscriptions_json(subscriptions))
      .add_raw("positions", json_array(positions))
      .add_raw("lost", lost_json(details.progress.lost))
      .str();
}

http::Response no_such_session(std::string_view client_id) {
  return error_response(404, fmt::format("no session of client '{}' is stored", client_id));
}

}  // namespace

void SessionsApi::add_to(Api& api) {
  api.add({"GET", "/api/v1/sessions", [this](ApiCall call) { list(std::move(call)); }});
  api.add({"GET", "/api/v1/sessions/{id}", [this](ApiCall call) { show(std::move(call)); }});
  api.add({"DELETE", "/api/v1/sessions/{id}", [this](ApiCall call) { remove(std::move(call)); }});
}

void SessionsApi::list(ApiCall call) {
  const auto page = page_in(call.query, page_max);
  if (!page) return call.respond(error_response(page.error()));
  sessions_.list(
      *page, [respond = std::move(call.respond)](const Result<sessions::Page>& found) mutable {
        respond(found ? json_response(200, page_json(*found)) : error_response(found.error()));
      });
}

void SessionsApi::show(ApiCall call) {
  const std::string id = call.parameters[0];
  sessions_.show(id, [this, id, respond = std::move(call.respond)](
                         Result<std::optional<sessions::Details>> found) mutable {
    if (!found) return respond(error_response(found.error()));
    if (!*found) return respond(no_such_session(id));
    describe(std::move(**found), std::move(respond));
  });
}

// With where it would go on if its client came now.
void SessionsApi::describe(sessions::Details details, http::Respond respond) {
  std::vector<hub::StoredFilter> filters;
  filters.reserve(details.filters.size());
  for (const sessions::Filter& filter : details.filters)
    filters.push_back({.text = filter.text, .options = {}, .since = filter.since});
  const auto positions = hub_.restored_positions(std::move(filters), details.progress.next);
  find_backlogs(
      loop_, hub_.stream(), positions,
      [this, details = std::move(details),
       respond = std::move(respond)](const std::vector<Backlog>& backlogs) mutable {
        respond(json_response(200, details_json(details, hub_.stream().catalogue(), backlogs)));
      });
}

void SessionsApi::remove(ApiCall call) {
  const std::string id = call.parameters[0];
  std::make_shared<mqtt::SessionRemoval>(
      hub_, sessions_, Random(random_.next()), id,
      [id, user = std::move(call.user),
       respond = std::move(call.respond)](const Result<bool>& removed) mutable {
        if (!removed) return respond(error_response(removed.error()));
        if (!*removed) return respond(no_such_session(id));
        logger.info("session deleted", {{"client", id}, {"by", user}});
        respond({.status = 204});
      })
      ->start();
}

}  // namespace sluice::server
