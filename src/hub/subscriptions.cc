#include "hub/subscriptions.h"

#include <algorithm>

#include "base/assert.h"
#include "topic/topic.h"

namespace sluice::hub {

namespace {

constexpr std::size_t cache_places = 16384;          // a power of two
constexpr std::size_t cached_key_max = 512;          // longer keys are matched each time
constexpr std::size_t cached_targets_max = 1 << 20;  // in all; beyond, the cache starts anew

}  // namespace

const LagLimit* Subscriber::lag_limit() const {
  const LagLimits* limits = lag->limits;
  const auto is_of_replay = [](const Filter& filter) {
    return filter.options.streams != Streams::all;
  };
  if (!limits || std::ranges::any_of(filters, is_of_replay)) return nullptr;
  const bool is_qos0 =
      limits->qos0.is_set() && std::ranges::all_of(filters, [](const Filter& filter) {
        return filter.text.empty() || filter.options.qos == 0;
      });
  const LagLimit& limit = is_qos0 ? limits->qos0 : limits->any;
  return limit.is_set() ? &limit : nullptr;
}

Lag& Subscriptions::lag_of(Subscriber& subscriber) {
  if (!subscriber.lag) {
    subscriber.lag = std::make_unique<Lag>();
    subscriber.lag->limits = subscriber.sink->lag_limits();
    has_limits_ = has_limits_ || subscriber.lag->limits;
  }
  return *subscriber.lag;
}

void Subscriptions::erase(Handle handle) {
  Subscriber* subscriber = subscribers_.find(handle);
  if (!subscriber) return;
  for (std::uint32_t i = 0; i < subscriber->filters.size(); ++i)
    if (!subscriber->filters[i].text.empty())
      tree_.erase(subscriber->filters[i].text, {handle.index, i});
  subscribers_.erase(handle);
}

Filter& Subscriptions::set_filter(Handle handle, std::string_view text,
                                  const SubscribeOptions& options) {
  if (cache_.empty()) cache_.resize(cache_places);
  Subscriber* subscriber = subscribers_.find(handle);
  SLUICE_ASSERT(subscriber);
  if (Filter* filter = subscriber->find(text)) {
    // Taken out and in again: results that were kept must not outlive the old options.
    const auto place = static_cast<std::uint32_t>(filter - subscriber->filters.data());
    tree_.erase(text, {handle.index, place});
    tree_.insert(text, {handle.index, place});
    filter->options = options;
    return *filter;
  }
  auto free =
      std::ranges::find_if(subscriber->filters, [](const Filter& f) { return f.text.empty(); });
  if (free == subscriber->filters.end()) free = subscriber->filters.emplace(free);
  *free = {.text = std::string(text), .options = options, .since = {}};
  tree_.insert(text,
               {handle.index, static_cast<std::uint32_t>(free - subscriber->filters.begin())});
  return *free;
}

bool Subscriptions::erase_filter(Handle handle, std::string_view text) {
  Subscriber* subscriber = subscribers_.find(handle);
  Filter* filter = subscriber ? subscriber->find(text) : nullptr;
  if (!filter) return false;
  tree_.erase(text,
              {handle.index, static_cast<std::uint32_t>(filter - subscriber->filters.data())});
  *filter = {};
  return true;
}

const Matched& Subscriptions::match(const Scope& scope, Bytes key, std::uint32_t key_hash) {
  if (cache_.empty() || key.size() > cached_key_max)
    return *retired_.emplace_back(compute(scope, key));
  const std::uint64_t hash = (scope.stream ^ key_hash) * 0x9e3779b97f4a7c15ull;
  Cached& cached = cache_[hash >> 50];
  static_assert(cache_places == std::size_t{1} << (64 - 50));
  if (cached.matched && cached.hash == hash && cached.generation == tree_.generation() &&
      cached.key == as_text(key)) {
    return *cached.matched;
  }
  if (cached.matched) {
    cached_targets_ -= cached.matched->targets.size();
    retired_.push_back(std::move(cached.matched));
  }
  if (cached_targets_ > cached_targets_max) clear_cache();
  cached = {hash, tree_.generation(), std::string(as_text(key)), compute(scope, key)};
  cached_targets_ += cached.matched->targets.size();
  return *cached.matched;
}

void Subscriptions::clear_cache() {
  for (Cached& cached : cache_)
    if (cached.matched) retired_.push_back(std::move(cached.matched));
  cached_targets_ = 0;
}

std::unique_ptr<const Matched> Subscriptions::compute(const Scope& scope, Bytes key) {
  topic_.assign(scope.prefix).append(as_text(key));
  if (!topic::validate_topic_name(topic_))
    return std::make_unique<const Matched>(Matched{.deliverable = false, .targets = {}, .ids = {}});
  found_.clear();
  tree_.match(topic_, found_);
  std::erase_if(found_, [&](const Reference& reference) {
    return !is_for(subscribers_.at(reference.subscriber).filters[reference.filter], scope);
  });
  return merge(found_);
}

bool Subscriptions::is_for(const Filter& filter, const Scope& scope) {
  const bool begins_with_wildcard = filter.text[0] == '+' || filter.text[0] == '#';
  if (begins_with_wildcard && !scope.wildcards) return false;
  return filter.options.streams == Streams::all ||
         (filter.options.streams == Streams::plain) == scope.prefix.empty();
}

const Matched& Subscriptions::match_since(std::uint32_t index, const Scope& scope,
                                          std::string_view topic, Partition partition,
                                          Offset offset) {
  found_.clear();
  const std::vector<Filter>& filters = subscribers_.at(index).filters;
  for (std::uint32_t i = 0; i < filters.size(); ++i) {
    const Filter& filter = filters[i];
    if (filter.text.empty() || !is_for(filter, scope)) continue;
    if (!topic::matches(filter.text, topic)) continue;
    const bool newer = std::ranges::any_of(filter.since, [&](const Filter::Since& since) {
      return since.partition == partition && offset < since.offset;
    });
    if (!newer) found_.push_back({index, i});
  }
  return *retired_.emplace_back(merge(found_));
}

std::unique_ptr<const Matched> Subscriptions::merge(std::vector<Reference>& references) {
  std::ranges::sort(references, {},
                    [](const Reference& r) { return std::pair(r.subscriber, r.filter); });
  auto matched = std::make_unique<Matched>();
  for (const Reference& reference : references) {
    const SubscribeOptions& options =
        subscribers_.at(reference.subscriber).filters[reference.filter].options;
    auto& targets = matched->targets;
    if (targets.empty() || targets.back().subscriber != reference.subscriber)
      targets.push_back({.subscriber = reference.subscriber,
                         .no_local = true,
                         .ids_at = static_cast<std::uint32_t>(matched->ids.size()),
                         .ids_count = 0,
                         .grant = {}});
    Target& target = targets.back();
    target.no_local = target.no_local && options.no_local;
    target.grant.qos = std::max(target.grant.qos, options.qos);
    target.grant.retain_as_published =
        target.grant.retain_as_published || options.retain_as_published;
    if (options.replay != 0) target.grant.replay = options.replay;
    if (options.id != 0) {
      matched->ids.push_back(options.id);
      ++target.ids_count;
    }
  }
  for (Target& target : matched->targets)
    target.grant.ids = std::span(matched->ids).subspan(target.ids_at, target.ids_count);
  return matched;
}

}  // namespace sluice::hub
