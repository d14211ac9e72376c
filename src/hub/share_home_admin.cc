// What administrators ask of the groups whose home is here, in memory or in the store.
#include <algorithm>
#include <map>
#include <utility>

#include "hub/share_home.h"
#include "topic/topic.h"

namespace sluice::hub {

// A page that is being made: what is stored, and those that have members.
struct ShareHome::Listing {
  PageQuery query;
  Done<Page<ShareSummary>> done;
  std::map<std::string, sessions::GroupSummary> found{};  // by text
  Page<ShareSummary> page{};
};

std::shared_ptr<ShareGroup> ShareHome::in_memory(const std::string& text) {
  const auto found = by_text_.find(text);
  return found == by_text_.end() ? nullptr : groups_.find(found->second)->group;
}

// --- list

void ShareHome::list(const PageQuery& query, Done<Page<ShareSummary>> done) {
  const auto listing = std::make_shared<Listing>(Listing{query, std::move(done)});
  if (!context_.store) {
    add_members(*listing);
    return look_at_next(listing);
  }
  context_.store->list(query, [this, listing](Result<Page<sessions::GroupSummary>> stored) {
    if (!stored) return listing->done(std::unexpected(std::move(stored.error())));
    for (sessions::GroupSummary& group : stored->items)
      listing->found.try_emplace(group.text, std::move(group));
    listing->page.has_more = stored->has_more;
    add_members(*listing);
    look_at_next(listing);
  });
}

// One more than the limit is enough to know that there are more.
void ShareHome::add_members(Listing& listing) const {
  const auto& [after, contains, limit] = listing.query;
  std::size_t added = 0;
  for (auto at = by_text_.upper_bound(after); at != by_text_.end() && added <= limit; ++at) {
    if (at->first.find(contains) == std::string::npos) continue;
    listing.found.try_emplace(at->first);
    ++added;
  }
}

// One per turn: members may hold many positions.
void ShareHome::look_at_next(const std::shared_ptr<Listing>& listing) {
  auto& [query, done, found, page] = *listing;
  if (page.items.size() == query.limit || found.empty()) {
    page.has_more |= !found.empty();
    return done(std::move(page));
  }
  const auto next = found.extract(found.begin());
  const auto group = in_memory(next.key());
  page.items.push_back(group ? group->summary() : stored_summary(next.mapped()));
  context_.loop.post([this, listing] { look_at_next(listing); });
}

ShareSummary ShareHome::stored_summary(const sessions::GroupSummary& stored) const {
  ShareSummary summary{.text = stored.text};
  const auto shared = topic::parse_shared(stored.text);
  if (!shared || !*shared) return summary;
  const auto known = [&](Partition partition) {
    return std::ranges::find(stored.places, partition,
                             [](const auto& place) { return place.next.partition; });
  };
  std::vector<Position> next;
  next.reserve(stored.places.size());
  for (const sessions::GroupPlace& place : stored.places) next.push_back(place.next);
  const auto positions = context_.distributor.restored_positions(
      {{.text = std::string((*shared)->filter), .options = {}, .since = {}}}, std::move(next));
  for (const Position& position : positions) {
    const auto place = known(position.partition);
    summary.places.push_back(place == stored.places.end() ? sessions::GroupPlace{.next = position}
                                                          : *place);
  }
  return summary;
}

// --- one

void ShareHome::find(const std::string& text, Done<std::optional<ShareSummary>> done) {
  if (const auto group = in_memory(text)) return done(group->summary());
  if (!context_.store) return done(std::nullopt);
  context_.store->find(text, [this, text, done = std::move(done)](
                                 Result<std::optional<sessions::GroupState>> found) mutable {
    if (!found) return done(std::unexpected(std::move(found.error())));
    if (!*found) return done(std::nullopt);
    done(stored_summary({text, sessions::places_of(std::move(**found))}));
  });
}

void ShareHome::show(const std::string& text, Done<std::optional<ShareDetails>> done) {
  find(text,
       [this, text, done = std::move(done)](Result<std::optional<ShareSummary>> found) mutable {
         if (!found) return done(std::unexpected(std::move(found.error())));
         if (!*found) return done(std::nullopt);
         ShareDetails details{.summary = std::move(**found)};
         if (const auto group = in_memory(text)) details.members = group->describe_members();
         if (!context_.store) return done(std::move(details));
         context_.store->find_holders(text, [details = std::move(details), done = std::move(done)](
                                                Result<sessions::Groups::Holders> holders) mutable {
           if (!holders) return done(std::unexpected(std::move(holders.error())));
           details.holders = std::move(*holders);
           done(std::move(details));
         });
       });
}

// One without members may be on its way to the store, or wait to be tried again: it is stored
// first, so that nothing comes behind its end, and nothing is lost if it can't be ended.
void ShareHome::remove(const std::string& text, Done<bool> done) {
  const auto group = in_memory(text);
  if (!group) return remove_stored(text, std::move(done));
  if (!group->is_empty()) return done(fail(Errc::exists, "{} has consumers", text));
  group->save([this, text, done = std::move(done)](const Result<void>& saved) mutable {
    if (!saved) return done(std::unexpected(saved.error()));
    const auto still = in_memory(text);
    if (still && (!still->is_empty() || still->is_saving())) return remove(text, std::move(done));
    if (still) end(by_text_.at(text));
    remove_stored(text, std::move(done));
  });
}

void ShareHome::remove_stored(const std::string& text, Done<bool> done) {
  if (!context_.store) return done(false);
  context_.store->remove(text, std::move(done));
}

}  // namespace sluice::hub
