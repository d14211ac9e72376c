#include "server/queues_api.h"

#include <utility>
#include <vector>

#include "server/share_backlog.h"

namespace sluice::server {

namespace {

std::string_view state_of(const hub::ShareMember& member) {
  if (member.has_left) return "unsubscribed";
  return member.is_full ? "full" : "ready";
}

std::string member_json(const hub::ShareMember& member) {
  return JsonObject()
      .add("client_id", member.client_id)
      .add("qos", member.qos)
      .add("in_flight", member.open)
      .add("state", state_of(member))
      .str();
}

}  // namespace

void QueuesApi::list(const PageQuery& query, Done<JsonObject> done) {
  hub_.list_shares(
      query, [this, done = std::move(done)](Result<Page<hub::ShareSummary>> page) mutable {
        if (!page) return done(std::unexpected(std::move(page.error())));
        find_share_backlogs(
            loop_, hub_.stream(), std::move(page->items),
            [this, has_more = page->has_more,
             done = std::move(done)](const std::vector<ShareBacklog>& shares) mutable {
              JsonObject out;
              out.add_raw("queues", json_array(shares, [this](const ShareBacklog& share) {
                            return share_json(hub_.stream().catalogue(), share).str();
                          }));
              if (has_more && !shares.empty()) out.add("next", shares.back().summary.text);
              done(std::move(out));
            });
      });
}

void QueuesApi::show(const std::string& id, Done<std::optional<JsonObject>> done) {
  hub_.show_share(
      id, [this, done = std::move(done)](Result<std::optional<hub::ShareDetails>> found) mutable {
        if (!found) return done(std::unexpected(std::move(found.error())));
        if (!*found) return done(std::nullopt);
        describe(std::move(**found), std::move(done));
      });
}

void QueuesApi::describe(hub::ShareDetails details, Done<std::optional<JsonObject>> done) {
  std::vector<hub::ShareSummary> one{details.summary};
  find_share_backlogs(
      loop_, hub_.stream(), std::move(one),
      [this, details = std::move(details),
       done = std::move(done)](const std::vector<ShareBacklog>& shares) mutable {
        const stream::Catalogue& catalogue = hub_.stream().catalogue();
        done(share_json(catalogue, shares[0])
                 .add_raw("members", json_array(details.members, member_json))
                 .add("session_count", details.holders.count)
                 .add_raw("sessions", json_array(details.holders.client_ids, json_string))
                 .add_raw("positions", share_places_json(catalogue, shares[0])));
      });
}

}  // namespace sluice::server
