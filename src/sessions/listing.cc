#include "sessions/listing.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::sessions {

Summary summary_of(std::string client_id, const Meta& meta) {
  return {.client_id = std::move(client_id),
          .uid = meta.uid,
          .connected = meta.connected,
          .crashed = meta.crashed,
          .left = meta.left,
          .has_will = meta.will.has_value()};
}

Page merge_pages(std::vector<Page> pages, std::size_t limit) {
  Page merged;
  for (Page& page : pages) {
    std::ranges::move(page.sessions, std::back_inserter(merged.sessions));
    merged.has_more |= page.has_more;
  }
  std::ranges::sort(merged.sessions, {}, &Summary::client_id);
  if (merged.sessions.size() > limit) {
    merged.sessions.resize(limit);
    merged.has_more = true;
  }
  return merged;
}

void Listing::start() {
  slot_ = place_.shard.value;
  step(metas_after(query_.after).from);
}

void Listing::step(std::string from) {
  place_.table->scan(slot_, {.from = std::move(from), .until = metas_after({}).until},
                     [self = shared_from_this()](Result<table::Portion> portion) {
                       self->on_portion(std::move(portion));
                     });
}

void Listing::on_portion(Result<table::Portion> portion) {
  if (!portion) return done_(std::unexpected(std::move(portion.error())));
  for (const table::Row& row : portion->rows)
    if (!take(row)) return next_slot();
  if (!portion->next) return next_slot();
  step(std::move(*portion->next));
}

bool Listing::take(const table::Row& row) {
  const auto client_id = client_in_meta_key(row.key);
  if (!client_id || client_id->find(query_.contains) == std::string_view::npos) return true;
  const bool is_full = found_.size() > query_.limit;
  if (is_full && *client_id > found_.rbegin()->first) return false;
  const auto meta = decode_meta(row.value);
  if (!meta) return true;
  std::string id(*client_id);
  found_.emplace(id, summary_of(id, *meta));
  if (is_full) found_.erase(std::prev(found_.end()));
  return true;
}

// By way of the loop, for slots may be many and answer at once.
void Listing::next_slot() {
  slot_ += place_.shards;
  if (slot_ >= slot_count) return answer();
  place_.loop->post(
      [self = shared_from_this()] { self->step(metas_after(self->query_.after).from); });
}

void Listing::answer() {
  Page page{.has_more = found_.size() > query_.limit};
  if (page.has_more) found_.erase(std::prev(found_.end()));
  for (auto& [id, summary] : found_) page.sessions.push_back(std::move(summary));
  done_(std::move(page));
}

}  // namespace sluice::sessions
