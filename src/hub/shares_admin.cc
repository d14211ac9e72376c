// What administrators ask of shared subscriptions, wherever their home is.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/together.h"
#include "hub/shares.h"
#include "runtime/ask.h"

namespace sluice::hub {

namespace {

constexpr std::size_t named_max = 10;

// "'a', 'b' and 3 more" of `count`.
std::string name_some(const std::vector<std::string>& client_ids, std::size_t count) {
  std::string text;
  std::size_t named = 0;
  for (; named < std::min(client_ids.size(), named_max); ++named)
    text += fmt::format("{}'{}'", named == 0 ? "" : ", ", client_ids[named]);
  if (named < count) text += fmt::format("{}{} more", named == 0 ? "" : " and ", count - named);
  return text;
}

// Why a group can't be removed now, if so.
Result<void> check_unused(const ShareDetails& details) {
  const auto& [summary, members, holders] = details;
  if (summary.members > 0) {
    std::vector<std::string> names;
    for (const ShareMember& member : members)
      if (!member.client_id.empty()) names.push_back(member.client_id);
    return fail(Errc::exists,
                "{} has consumers: {}; it can be deleted when they have unsubscribed or gone",
                summary.text, name_some(names, summary.members));
  }
  if (holders.count > 0)
    return fail(Errc::exists,
                "{} is in the stored session of {}; it can be deleted when they have unsubscribed, "
                "or their sessions are deleted",
                summary.text, name_some(holders.client_ids, holders.count));
  return {};
}

}  // namespace

// Does `work` at the home of a group, and hands over its answer here.
template <class T>
void Shares::ask_home(ShardId home, std::move_only_function<void(ShareHome&, Done<T>)> work,
                      Done<T> done) {
  const auto answer = std::make_shared<Result<T>>();
  runtime::ask(
      group_.mailboxes(), shard_, home,
      [this, home, work = std::move(work), answer](Task reply) mutable {
        work(on_shard_(home).home_, [answer, reply = std::move(reply)](Result<T> result) mutable {
          *answer = std::move(result);
          reply();
        });
      },
      [answer, done = std::move(done)]() mutable { done(std::move(*answer)); });
}

void Shares::list(const PageQuery& query, Done<Page<ShareSummary>> done) {
  using Found = Page<ShareSummary>;
  const auto shards = static_cast<std::uint32_t>(outboxes_.size());
  const auto pages = std::make_shared<std::vector<Found>>(shards);
  const Together together(
      shards, [pages, limit = query.limit, done = std::move(done)](Result<void> all) mutable {
        if (!all) return done(std::unexpected(std::move(all.error())));
        done(merge_pages(std::move(*pages), &ShareSummary::text, limit));
      });
  for (std::uint32_t i = 0; i < shards; ++i)
    ask_home<Found>(
        {i}, [query](ShareHome& home, Done<Found> listed) { home.list(query, std::move(listed)); },
        [pages, i, part = together.answer()](Result<Found> page) mutable {
          if (!page) return part(std::unexpected(std::move(page.error())));
          (*pages)[i] = std::move(*page);
          part({});
        });
}

void Shares::find_group(const std::string& text, Done<std::optional<ShareSummary>> done) {
  using Found = std::optional<ShareSummary>;
  ask_home<Found>(
      home_of(text),
      [text](ShareHome& home, Done<Found> found) { home.find(text, std::move(found)); },
      std::move(done));
}

void Shares::show_group(const std::string& text, Done<std::optional<ShareDetails>> done) {
  using Found = std::optional<ShareDetails>;
  ask_home<Found>(
      home_of(text),
      [text](ShareHome& home, Done<Found> shown) { home.show(text, std::move(shown)); },
      [this, done = std::move(done)](Result<Found> found) mutable {
        if (!found || !*found) return done(std::move(found));
        name_members(std::move(**found), std::move(done));
      });
}

// Each shard knows its own; they write to different members.
void Shares::name_members(ShareDetails details, Done<std::optional<ShareDetails>> done) {
  const auto named = std::make_shared<ShareDetails>(std::move(details));
  const auto shards = static_cast<std::uint32_t>(outboxes_.size());
  const Together together(shards, [named, done = std::move(done)](const Result<void>&) mutable {
    done(std::move(*named));
  });
  for (std::uint32_t i = 0; i < shards; ++i)
    runtime::ask(
        group_.mailboxes(), shard_, {i},
        [this, i, named](Task reply) {
          on_shard_({i}).name_own(named->members);
          reply();
        },
        [part = together.answer()]() mutable { part({}); });
}

void Shares::name_own(std::vector<ShareMember>& members) {
  for (ShareMember& member : members) {
    if (member.shard != shard_) continue;
    const Membership* membership = memberships_.find(member.membership);
    const SubscriberSink* sink =
        membership ? distributor_.sink_of(membership->subscriber) : nullptr;
    if (sink) member.client_id = sink->who().client;
  }
}

// The home looks again: somebody may come meanwhile.
void Shares::remove_group(const std::string& text, Done<bool> done) {
  show_group(text, [this, text,
                    done = std::move(done)](Result<std::optional<ShareDetails>> found) mutable {
    if (!found) return done(std::unexpected(std::move(found.error())));
    if (!*found) return done(false);
    if (const auto unused = check_unused(**found); !unused)
      return done(std::unexpected(unused.error()));
    ask_home<bool>(
        home_of(text),
        [text](ShareHome& home, Done<bool> removed) { home.remove(text, std::move(removed)); },
        std::move(done));
  });
}

}  // namespace sluice::hub
