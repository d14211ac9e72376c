#include "server/api_collection.h"

#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "base/logger.h"

namespace sluice::server {

namespace {

constexpr Logger logger("admin");
constexpr std::int64_t page_max = 1000;  // things in an answer

}  // namespace

void ApiCollection::add_to(Api& api) {
  const std::string all = fmt::format("/api/v1/{}", words_.name);
  const std::string one = all + "/{id}";
  api.add({"GET", all, [this](ApiCall call) { answer_list(std::move(call)); }});
  api.add({"GET", one, [this](ApiCall call) { answer_show(std::move(call)); }});
  api.add({"DELETE", one, [this](ApiCall call) { answer_remove(std::move(call)); }});
}

void ApiCollection::answer_list(ApiCall call) {
  const auto query = page_in(call.query, page_max);
  if (!query) return call.respond(error_response(query.error()));
  list(*query, [respond = std::move(call.respond)](const Result<JsonObject>& page) mutable {
    respond(page ? json_response(200, page->str()) : error_response(page.error()));
  });
}

void ApiCollection::answer_show(ApiCall call) {
  const std::string& id = call.parameters[0];
  show(id, [this, id, respond = std::move(call.respond)](
               const Result<std::optional<JsonObject>>& found) mutable {
    if (!found) return respond(error_response(found.error()));
    if (!*found) return respond(no_such(id));
    respond(json_response(200, (*found)->str()));
  });
}

void ApiCollection::answer_remove(ApiCall call) {
  const std::string& id = call.parameters[0];
  remove(id, [this, id, user = std::move(call.user),
              respond = std::move(call.respond)](const Result<bool>& removed) mutable {
    if (!removed) return respond(error_response(removed.error()));
    if (!*removed) return respond(no_such(id));
    logger.info(words_.removed, {{words_.log_key, id}, {"by", user}});
    respond({.status = 204});
  });
}

http::Response ApiCollection::no_such(std::string_view id) const {
  return error_response(404, fmt::format(fmt::runtime(words_.no_such), id));
}

}  // namespace sluice::server
