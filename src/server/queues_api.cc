#include "server/queues_api.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/logger.h"
#include "server/share_backlog.h"

namespace sluice::server {

namespace {

constexpr Logger logger("admin");

std::string_view state_of(const hub::ShareMember& member) {
  if (member.has_left) return "unsubscribed";
  return member.is_full ? "full" : "ready";
}

std::string members_json(const std::vector<hub::ShareMember>& members) {
  std::vector<std::string> all;
  all.reserve(members.size());
  for (const hub::ShareMember& member : members)
    all.push_back(JsonObject()
                      .add("client_id", member.client_id)
                      .add("qos", member.qos)
                      .add("in_flight", member.open)
                      .add("state", state_of(member))
                      .str());
  return json_array(all);
}

std::string sessions_json(const std::vector<std::string>& client_ids) {
  std::vector<std::string> all;
  all.reserve(client_ids.size());
  for (const std::string& client_id : client_ids) all.push_back(json_string(client_id));
  return json_array(all);
}

http::Response no_such_queue(std::string_view id) {
  return error_response(404, fmt::format("there is no queue or shared subscription '{}'", id));
}

}  // namespace

void QueuesApi::add_to(Api& api) {
  api.add({"GET", "/api/v1/queues", [this](ApiCall call) { list(std::move(call)); }});
  api.add({"GET", "/api/v1/queues/{id}", [this](ApiCall call) { show(std::move(call)); }});
  api.add({"DELETE", "/api/v1/queues/{id}", [this](ApiCall call) { remove(std::move(call)); }});
}

void QueuesApi::list(ApiCall call) {
  const auto page = page_in(call.query, page_max);
  if (!page) return call.respond(error_response(page.error()));
  hub_.list_shares(*page, [this, respond = std::move(call.respond)](
                              Result<Page<hub::ShareSummary>> found) mutable {
    if (!found) return respond(error_response(found.error()));
    answer_list(std::move(*found), std::move(respond));
  });
}

void QueuesApi::answer_list(Page<hub::ShareSummary> page, http::Respond respond) {
  find_share_backlogs(loop_, hub_.stream(), std::move(page.items),
                      [this, has_more = page.has_more, respond = std::move(respond)](
                          const std::vector<ShareBacklog>& shares) mutable {
                        std::vector<std::string> rows;
                        rows.reserve(shares.size());
                        for (const ShareBacklog& share : shares)
                          rows.push_back(share_json(hub_.stream().catalogue(), share).str());
                        JsonObject out;
                        out.add_raw("queues", json_array(rows));
                        if (has_more && !shares.empty())
                          out.add("next", shares.back().summary.text);
                        respond(json_response(200, out.str()));
                      });
}

void QueuesApi::show(ApiCall call) {
  const std::string id = call.parameters[0];
  hub_.show_share(id, [this, id, respond = std::move(call.respond)](
                          Result<std::optional<hub::ShareDetails>> found) mutable {
    if (!found) return respond(error_response(found.error()));
    if (!*found) return respond(no_such_queue(id));
    answer_show(std::move(**found), std::move(respond));
  });
}

void QueuesApi::answer_show(hub::ShareDetails details, http::Respond respond) {
  std::vector<hub::ShareSummary> one{details.summary};
  find_share_backlogs(loop_, hub_.stream(), std::move(one),
                      [this, details = std::move(details), respond = std::move(respond)](
                          const std::vector<ShareBacklog>& shares) mutable {
                        const stream::Catalogue& catalogue = hub_.stream().catalogue();
                        respond(json_response(
                            200, share_json(catalogue, shares[0])
                                     .add_raw("members", members_json(details.members))
                                     .add("session_count", details.holders.count)
                                     .add_raw("sessions", sessions_json(details.holders.client_ids))
                                     .add_raw("positions", share_places_json(catalogue, shares[0]))
                                     .str()));
                      });
}

void QueuesApi::remove(ApiCall call) {
  const std::string id = call.parameters[0];
  hub_.remove_share(id, [id, user = std::move(call.user),
                         respond = std::move(call.respond)](const Result<bool>& removed) mutable {
    if (!removed) return respond(error_response(removed.error()));
    if (!*removed) return respond(no_such_queue(id));
    logger.info("queue deleted", {{"queue", id}, {"by", user}});
    respond({.status = 204});
  });
}

}  // namespace sluice::server
