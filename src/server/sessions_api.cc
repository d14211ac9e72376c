#include "server/sessions_api.h"

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/start_point.h"
#include "mqtt/session_removal.h"
#include "server/backlog.h"
#include "server/client_json.h"
#include "topic/topic.h"

namespace sluice::server {

namespace {

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

JsonObject page_json(const Page<sessions::Summary>& page) {
  JsonObject out;
  out.add_raw("sessions", json_array(page.items, [](const sessions::Summary& session) {
                return summary_json(session).str();
              }));
  if (page.has_more && !page.items.empty()) out.add("next", page.items.back().client_id);
  return out;
}

JsonObject details_json(const sessions::Details& details, const stream::Catalogue& catalogue,
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
  const std::string groups = json_array(
      shares, [&](const ShareBacklog& share) { return share_json(catalogue, share).str(); });
  return summary_json(details.summary)
      .add("in_flight_from", details.progress.open.size())
      .add("in_flight_to", details.progress.in_flight.size())
      .add("subscription_count", subscriptions.size())
      .add_raw("subscriptions", subscriptions_json(subscriptions))
      .add_raw("positions", json_array(positions))
      .add_raw("groups", groups)
      .add_raw("lost", lost_json(details.progress.lost));
}

}  // namespace

void SessionsApi::list(const PageQuery& query, Done<JsonObject> done) {
  sessions_.list(query, [done = std::move(done)](Result<Page<sessions::Summary>> page) mutable {
    if (!page) return done(std::unexpected(std::move(page.error())));
    done(page_json(*page));
  });
}

void SessionsApi::show(const std::string& id, Done<std::optional<JsonObject>> done) {
  sessions_.show(
      id, [this, done = std::move(done)](Result<std::optional<sessions::Details>> found) mutable {
        if (!found) return done(std::unexpected(std::move(found.error())));
        if (!*found) return done(std::nullopt);
        describe(std::move(**found), std::move(done));
      });
}

// With where the groups are whose members it is, or will be.
void SessionsApi::describe(sessions::Details details, Done<std::optional<JsonObject>> done) {
  std::vector<std::string> groups;
  for (const sessions::Filter& filter : details.filters)
    if (topic::is_shared(filter.text) && groups.size() < groups_shown)
      groups.push_back(filter.text);
  find_shares(loop_, hub_, std::move(groups),
              [this, details = std::move(details),
               done = std::move(done)](Result<std::vector<hub::ShareSummary>> found) mutable {
                if (!found) return done(std::unexpected(std::move(found.error())));
                find_share_backlogs(
                    loop_, hub_.stream(), std::move(*found),
                    [this, details = std::move(details),
                     done = std::move(done)](std::vector<ShareBacklog> shares) mutable {
                      describe(std::move(details), std::move(shares), std::move(done));
                    });
              });
}

// And with where it would go on itself if its client came now.
void SessionsApi::describe(sessions::Details details, std::vector<ShareBacklog> shares,
                           Done<std::optional<JsonObject>> done) {
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
       done = std::move(done)](const std::vector<Backlog>& backlogs) mutable {
        done(details_json(details, hub_.stream().catalogue(), backlogs, replays, shares));
      });
}

void SessionsApi::remove(const std::string& id, Done<bool> done) {
  std::make_shared<mqtt::SessionRemoval>(hub_, sessions_, Random(random_.next()), id,
                                         std::move(done))
      ->start();
}

}  // namespace sluice::server
