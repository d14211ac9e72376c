#include "server/share_backlog.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "topic/topic.h"

namespace sluice::server {

namespace {

struct Finding {
  runtime::Loop& loop;
  hub::Hub& hub;
  std::vector<std::string> texts;
  Done<std::vector<hub::ShareSummary>> done;
  std::size_t next = 0;
  std::vector<hub::ShareSummary> found{};
};

void find_next(const std::shared_ptr<Finding>& finding) {
  if (finding->next == finding->texts.size()) return finding->done(std::move(finding->found));
  finding->hub.find_share(finding->texts[finding->next++],
                          [finding](Result<std::optional<hub::ShareSummary>> found) {
                            if (!found)
                              return finding->done(std::unexpected(std::move(found.error())));
                            if (*found) finding->found.push_back(std::move(**found));
                            // By way of the loop, for many may answer at once.
                            finding->loop.post([finding] { find_next(finding); });
                          });
}

// Of the messages that were given and are not settled the oldest, in the partition where it lies
// furthest from the end.
std::string oldest_json(const stream::Catalogue& catalogue, const ShareBacklog& share) {
  const stream::StreamInfo* stream = nullptr;
  Position oldest{};
  std::int64_t furthest = -1;
  for (std::size_t i = 0; i < share.backlogs.size(); ++i) {
    const sessions::GroupPlace& place = share.summary.places[i];
    const auto& bounds = share.backlogs[i].bounds;
    const Offset end = bounds ? bounds->visible_end : place.next.offset;
    const auto* its_stream = catalogue.find(place.next.partition.stream);
    if (place.open == 0 || !its_stream || end - place.oldest <= furthest) continue;
    furthest = end - place.oldest;
    oldest = {place.next.partition, place.oldest};
    stream = its_stream;
  }
  if (!stream) return {};
  return JsonObject()
      .add("stream", stream->name)
      .add("partition", oldest.partition.index)
      .add("offset", oldest.offset.value)
      .str();
}

}  // namespace

void find_shares(runtime::Loop& loop, hub::Hub& hub, std::vector<std::string> texts,
                 Done<std::vector<hub::ShareSummary>> done) {
  find_next(std::make_shared<Finding>(Finding{loop, hub, std::move(texts), std::move(done)}));
}

void find_share_backlogs(runtime::Loop& loop, stream::Stream& stream,
                         std::vector<hub::ShareSummary> shares,
                         std::move_only_function<void(std::vector<ShareBacklog>)> done) {
  std::map<Partition, std::optional<stream::Bounds>> asked;
  for (const hub::ShareSummary& share : shares)
    for (const sessions::GroupPlace& place : share.places) asked.try_emplace(place.next.partition);
  std::vector<Position> positions;
  positions.reserve(asked.size());
  for (const auto& [partition, bounds] : asked) positions.push_back({partition, {}});
  find_backlogs(loop, stream, positions,
                [asked = std::move(asked), shares = std::move(shares),
                 done = std::move(done)](const std::vector<Backlog>& answers) mutable {
                  for (const Backlog& answer : answers)
                    asked[answer.next.partition] = answer.bounds;
                  std::vector<ShareBacklog> all;
                  all.reserve(shares.size());
                  for (hub::ShareSummary& share : shares) {
                    ShareBacklog& one = all.emplace_back(std::move(share));
                    for (const sessions::GroupPlace& place : one.summary.places)
                      one.backlogs.push_back({place.next, asked[place.next.partition]});
                  }
                  done(std::move(all));
                });
}

JsonObject share_json(const stream::Catalogue& catalogue, const ShareBacklog& share) {
  const std::string& text = share.summary.text;
  JsonObject out;
  out.add("id", text).add("kind", topic::is_queue(text) ? "queue" : "share");
  if (const auto parts = topic::parse_shared(text); parts && *parts)
    out.add("name", (*parts)->group).add("filter", (*parts)->filter);
  std::int64_t records = 0;
  std::int64_t lost = 0;
  std::uint64_t open = 0;
  for (const Backlog& backlog : share.backlogs) {
    records += backlog.records();
    lost += backlog.lost();
  }
  for (const sessions::GroupPlace& place : share.summary.places) open += place.open;
  out.add("member_count", share.summary.members)
      .add("records", records)
      .add("lost_to_retention", lost)
      .add("unacknowledged", open);
  if (const std::string oldest = oldest_json(catalogue, share); !oldest.empty())
    out.add_raw("oldest", oldest);
  return out;
}

std::string share_places_json(const stream::Catalogue& catalogue, const ShareBacklog& share) {
  std::vector<std::string> places;
  for (std::size_t i = 0; i < share.backlogs.size(); ++i) {
    const sessions::GroupPlace& place = share.summary.places[i];
    const auto* stream = catalogue.find(place.next.partition.stream);
    if (!stream) continue;
    JsonObject one = backlog_json(stream->name, share.backlogs[i]);
    one.add("unacknowledged", place.open);
    if (place.open > 0) one.add("oldest", place.oldest.value);
    places.push_back(one.str());
  }
  return json_array(places);
}

}  // namespace sluice::server
