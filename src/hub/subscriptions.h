#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "hub/hub.h"
#include "hub/slots.h"
#include "topic/filter_tree.h"

namespace sluice::hub {

// One filter of a subscriber. A place in Subscriber::filters stays its own, so that the tree can
// name it.
struct Filter {
  std::string text;  // empty: the place is free
  SubscribeOptions options;
  // While the subscriber lags: the filter was added when the tail of a partition was at that
  // offset, and matches nothing before it.
  struct Since {
    Partition partition;
    Offset offset;
  };
  std::vector<Since> since;
};

// The retained messages that a filter gets (snapshots.h).
struct Snapshot {
  struct Place {
    Partition partition;
    Offset before;  // where it is taken: later messages come by the log
  };
  std::uint64_t id = 0;
  std::string filter;
  std::vector<Place> places{};
  std::size_t done = 0;  // places that are through
  std::string from{};    // in the next one
  std::size_t portion_size = 256 << 10;
  bool started = false;  // the places are complete
  bool settled = false;  // so are they on their shards
  bool asked = false;    // an answer is under way
};

// Where a subscriber that could not take more, or waits for retained messages, reads on. It gets
// nothing from the tails of these partitions.
struct Lag {
  static constexpr Offset no_stop{std::numeric_limits<std::int64_t>::max()};
  struct At {
    Partition partition;
    Offset next;
    Offset stop = no_stop;  // not beyond it, until a snapshot is through
    // It is aboard this sweep: reads are asked for with its filters. It has come further than
    // `next` says: Distributor::next_of().
    std::uint8_t sweep = 0;  // 0: none
    bool called = false;     // to be looked at before a sweep's next step
    [[nodiscard]] bool stopped() const { return next >= stop; }
  };
  std::vector<At> at;                 // sorted
  const LagLimits* limits = nullptr;  // of its sink; null: none
  bool blocked = false;               // until resume()
  bool held = false;                  // restored, until resume(): it gets nothing from tails either
  std::vector<Snapshot> snapshots;    // the first one runs

  [[nodiscard]] At* find(Partition partition) {
    const auto place = std::ranges::lower_bound(at, partition, {}, &At::partition);
    return place != at.end() && place->partition == partition ? &*place : nullptr;
  }
  void add(Partition partition, Offset next) {
    at.insert(std::ranges::upper_bound(at, partition, {}, &At::partition), {partition, next});
  }
  [[nodiscard]] bool is_over() const { return at.empty() && snapshots.empty() && !held; }
};

struct Subscriber {
  SubscriberSink* sink = nullptr;
  std::uint64_t session = 0;
  std::vector<Filter> filters;
  std::unique_ptr<Lag> lag;  // none: at the tail everywhere

  [[nodiscard]] bool is_held() const { return lag && lag->held; }
  // Which limit holds for it while it lags; null: none. Replays are behind because they are meant
  // to be.
  [[nodiscard]] const LagLimit* lag_limit() const;
  // Some filters do not count for all that is still to be read.
  [[nodiscard]] bool has_new_filters() const {
    return std::ranges::any_of(filters, [](const Filter& filter) { return !filter.since.empty(); });
  }
  [[nodiscard]] Filter* find(std::string_view text) {
    for (Filter& filter : filters)
      if (filter.text == text) return &filter;
    return nullptr;
  }
};

// A subscriber that gets a topic's messages, its matching filters merged (MQTT 5, section 3.3.4:
// one copy, at the highest QoS, with all identifiers; retain-as-published if any asks, no-local
// only if all do).
struct Target {
  std::uint32_t subscriber;
  bool no_local;
  std::uint32_t ids_at;  // into Matched::ids
  std::uint32_t ids_count;
  Grant grant;
};

struct Matched {
  bool deliverable = true;  // false: prefix and key make no MQTT topic
  std::vector<Target> targets;
  std::vector<std::uint32_t> ids;
};

// The subscribers of a shard, their filters, and who matches what. Results are kept per topic until
// a filter changes.
class Subscriptions {
 public:
  Handle add(Subscriber subscriber) { return subscribers_.add(std::move(subscriber)); }
  void erase(Handle handle);
  [[nodiscard]] Subscriber* find(Handle handle) { return subscribers_.find(handle); }
  [[nodiscard]] Subscriber& at(std::uint32_t index) { return subscribers_.at(index); }
  [[nodiscard]] Handle handle(std::uint32_t index) const { return subscribers_.handle(index); }
  // Where a subscriber reads on; made if it was at the tail everywhere.
  Lag& lag_of(Subscriber& subscriber);
  // Some that have lagged may not be behind as far as they like.
  [[nodiscard]] bool has_limits() const { return has_limits_; }
  template <class Visit>
  void for_each(Visit visit) {
    subscribers_.for_each(visit);
  }
  [[nodiscard]] std::size_t filter_count() const { return tree_.size(); }
  [[nodiscard]] std::uint64_t generation() const { return tree_.generation(); }  // of the filters

  // Adds, or replaces the options of an equal filter, keeping its `since`. Returns it, valid until
  // the next change.
  Filter& set_filter(Handle handle, std::string_view text, const SubscribeOptions& options);
  bool erase_filter(Handle handle, std::string_view text);

  // Where a topic's subscribers are looked for.
  struct Scope {
    std::string_view prefix;  // of the stream's topics
    std::uint64_t stream;     // tells equal keys of several streams apart
    bool wildcards;           // filters that begin with a wildcard cover the stream
  };
  // Who matches the topic `scope.prefix` + `key`. Results stay valid until forget().
  const Matched& match(const Scope& scope, Bytes key, std::uint32_t key_hash);
  // The same for one subscriber, without filters that are newer than `offset`; no target if none is
  // left.
  const Matched& match_since(std::uint32_t subscriber, const Scope& scope, std::string_view topic,
                             Partition partition, Offset offset);
  void forget() { retired_.clear(); }
  // What is kept per topic is not right any more: a stream is covered by other filters.
  void clear_cache();

 private:
  struct Reference {
    std::uint32_t subscriber;
    std::uint32_t filter;
    friend bool operator==(const Reference&, const Reference&) = default;
  };
  struct Cached {
    std::uint64_t hash = 0;
    std::uint64_t generation = 0;
    std::string key;
    std::unique_ptr<const Matched> matched;  // none: empty
  };
  std::unique_ptr<const Matched> compute(const Scope& scope, Bytes key);
  [[nodiscard]] static bool is_for(const Filter& filter, const Scope& scope);
  std::unique_ptr<const Matched> merge(std::vector<Reference>& references);

  Slots<Subscriber> subscribers_;
  bool has_limits_ = false;
  topic::FilterTree<Reference> tree_;
  std::vector<Cached> cache_;  // direct-mapped; made with the first filter
  std::size_t cached_targets_ = 0;
  std::vector<std::unique_ptr<const Matched>>
      retired_;                   // out of the cache, or never in it, and still in use
  std::vector<Reference> found_;  // reused
  std::string topic_;             // reused
};

}  // namespace sluice::hub
