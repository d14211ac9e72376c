#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/task.h"
#include "hub/hub.h"
#include "hub/share_state.h"
#include "runtime/loop.h"
#include "server/backlog.h"
#include "stream/stream.h"

namespace sluice::server {

// How far a shared subscription, or a queue, is behind in the log.
struct ShareBacklog {
  hub::ShareSummary summary;
  std::vector<Backlog> backlogs{};  // as summary.places
};

// Those of these that are there; they are asked for one after another. Errors: those of
// Hub::find_share.
void find_shares(runtime::Loop& loop, hub::Hub& hub, std::vector<std::string> texts,
                 Done<std::vector<hub::ShareSummary>> done);
// As find_backlogs(), with each partition asked for once.
void find_share_backlogs(runtime::Loop& loop, stream::Stream& stream,
                         std::vector<hub::ShareSummary> shares,
                         std::move_only_function<void(std::vector<ShareBacklog>)> done);

// What the API says of one wherever it is listed.
JsonObject share_json(const stream::Catalogue& catalogue, const ShareBacklog& share);
// An array: where it is in each partition.
std::string share_places_json(const stream::Catalogue& catalogue, const ShareBacklog& share);

}  // namespace sluice::server
