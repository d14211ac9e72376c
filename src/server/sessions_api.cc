#include "server/sessions_api.h"

#include <fmt/format.h>

#include <cstddef>
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
#include "topic/topic.h"

namespace sluice::server {

namespace {

constexpr Logger logger("admin");

constexpr std::size_t groups_shown = 100;

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

std::string page_json(const Page<sessions::Summary>& page) {
  std::vector<std::string> rows;
  rows.reserve(page.items.size());
  for (const auto& session : page.items) rows.push_back(summary_json(session).str());
  JsonObject out;
  out.add_raw("sessions", json_array(rows));
  if (page.has_more && !page.items.empty()) out.add("next", page.items.back().client_id);
  return out.str();
}

std::string details_json(const sessions::Details& details, const stream::Catalogue& catalogue,
                         const std::vector<Backlog>& backlogs,
                         const std::vector<std::string>& replays,
                         const std::vector<ShareBacklog>& shares) {
  std::vector<hub::SubscriberState::Subscription> subscriptions;
  subscriptions.reserve(details.filters.size());
  for (const sessions::Filter& filter : details.filters)
    subscriptions.push_back({filter.text,
                             {.qos = filter.qos,
                              .no_local = filter.no_local,
                              .retain_as_published = filter.retain_as_published,
                              .id = filter.id}});
  std::vector<std::string> positions;
  for (std::size_t i = 0; i < backlogs.size(); ++i) {
    const auto* stream = catalogue.find(backlogs[i].next.partition.stream);
    if (!stream) continue;
    JsonObject place = backlog_json(stream->name, backlogs[i]);
    if (!replays[i].empty()) place.add("replay", replays[i]);
    positions.push_back(place.str());
  }
  std::vector<std::string> groups;
  groups.reserve(shares.size());
  for (const ShareBacklog& share : shares) groups.push_back(share_json(catalogue, share).str());
  return summary_json(details.summary)
      .add("in_flight_from", details.progress.open.size())
      .add("in_flight_to", details.progress.in_flight.size())
      .add("subscription_count", subscriptions.size())
      .add_raw("subscriptions", subscriptions_json(subscriptions))
      .add_raw("positions", json_array(positions))
      .add_raw("groups", json_array(groups))
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
  sessions_.list(*page, [respond = std::move(call.respond)](
                            const Result<Page<sessions::Summary>>& found) mutable {
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

// With where the groups are whose members it is, or will be.
void SessionsApi::describe(sessions::Details details, http::Respond respond) {
  std::vector<std::string> groups;
  for (const sessions::Filter& filter : details.filters)
    if (topic::is_shared(filter.text) && groups.size() < groups_shown)
      groups.push_back(filter.text);
  find_shares(loop_, hub_, std::move(groups),
              [this, details = std::move(details),
               respond = std::move(respond)](Result<std::vector<hub::ShareSummary>> found) mutable {
                if (!found) return respond(error_response(found.error()));
                find_share_backlogs(
                    loop_, hub_.stream(), std::move(*found),
                    [this, details = std::move(details),
                     respond = std::move(respond)](std::vector<ShareBacklog> shares) mutable {
                      describe(std::move(details), std::move(shares), std::move(respond));
                    });
              });
}

// And with where it would go on itself if its client came now.
void SessionsApi::describe(sessions::Details details, std::vector<ShareBacklog> shares,
                           http::Respond respond) {
  std::vector<hub::StoredFilter> filters;
  filters.reserve(details.filters.size());
  for (const sessions::Filter& filter : details.filters)
    filters.push_back({.text = filter.text, .options = {}, .since = filter.since});
  std::vector<Position> positions =
      hub_.restored_positions(std::move(filters), details.progress.next);
  std::vector<std::string> replays(positions.size());  // whose place each is
  for (const sessions::Filter& filter : details.filters) {
    if (!topic::is_replay(filter.text)) continue;
    for (const Position& next :
         hub_.restored_replay({.text = filter.text,
                               .options = {},
                               .since = sessions::place_of(filter, details.progress)})) {
      positions.push_back(next);
      replays.push_back(filter.text);
    }
  }
  find_backlogs(
      loop_, hub_.stream(), positions,
      [this, details = std::move(details), replays = std::move(replays), shares = std::move(shares),
       respond = std::move(respond)](const std::vector<Backlog>& backlogs) mutable {
        respond(json_response(
            200, details_json(details, hub_.stream().catalogue(), backlogs, replays, shares)));
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
