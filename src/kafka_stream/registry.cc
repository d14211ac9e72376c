#include "kafka_stream/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/logger.h"
#include "base/units.h"
#include "kafka_stream/cursor.h"
#include "kafka_stream/names.h"
#include "runtime/thread_worker.h"

namespace sluice::kafka_stream {
namespace {

using stream::StreamConfig;
using stream::StreamInfo;

constexpr Logger logger("kafka_cluster");

constexpr std::size_t jobs_max = 64;
constexpr int missing_max = 3;
constexpr std::size_t described_at_once = 100;
constexpr int looks_between_descriptions = 10;
constexpr std::chrono::milliseconds look_interval{1000};
// A look costs the cluster and us the more, the more topics there are.
constexpr std::chrono::milliseconds look_interval_per_topic{1};
constexpr std::ptrdiff_t asked_brokers_max = 3;  // of one look, before none is said to answer
constexpr auto change_patience = std::chrono::seconds(5);
constexpr auto flush_patience = std::chrono::seconds(5);

std::string clock_text(std::chrono::system_clock::time_point when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:02}:{:02}:{:02} UTC", utc.tm_hour, utc.tm_min, utc.tm_sec);
}

}  // namespace

Registry::Registry(const Options& options, Producer& producer, ReaderPool& readers,
                   Announce announce)
    : options_(options),
      producer_(producer),
      announce_(std::move(announce)),
      notes_(producer, readers, options.replication, stopping_) {
  thread_ = std::thread([this] { run(); });
}

Registry::~Registry() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::string Registry::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

void Registry::set_trouble(std::string trouble) {
  const std::lock_guard lock(mutex_);
  if (trouble == trouble_) return;
  if (trouble.empty()) {
    logger.info("the cluster can be used");
  } else if (trouble_.empty()) {
    logger.warn("the cluster cannot be used", {{"reason", trouble}});
  }
  trouble_ = std::move(trouble);
}

bool Registry::enter(Task job) {
  const std::lock_guard lock(mutex_);
  if (jobs_.size() >= jobs_max) return false;
  jobs_.push_back(std::move(job));
  changed_.notify_one();
  return true;
}

void Registry::run() {
  runtime::set_thread_name("cluster-topics");
  auto next_look = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (flush_) {
      Task done = std::exchange(flush_, nullptr);
      lock.unlock();
      static_cast<void>(producer_.flush(flush_patience));
      done();
      lock.lock();
    } else if (notes_loaded_ && !jobs_.empty()) {
      Task job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    } else if (std::chrono::steady_clock::now() >= next_look) {
      lock.unlock();
      refresh();
      next_look = std::chrono::steady_clock::now() +
                  std::max(notes_loaded_ ? look_interval : look_interval / 4,
                           look_interval_per_topic * std::ssize(known_));
      lock.lock();
    } else {
      changed_.wait_until(lock, next_look);
    }
  }
}

// --- looking

void Registry::refresh() {
  if (const auto looked = look(); looked) {
    failing_since_ = {};
    return;
  } else {
    if (failing_since_ == std::chrono::system_clock::time_point{})
      failing_since_ = std::chrono::system_clock::now();
    set_trouble(fmt::format("kafka_cluster: {} (since {})", looked.error().text,
                            clock_text(failing_since_)));
  }
}

Result<void> Registry::look() {
  SLUICE_TRY_ASSIGN(const ClusterState cluster, ask());
  if (!notes_loaded_) {
    SLUICE_TRY(notes_.load());
  } else if (!cluster.topics.contains(notes_topic)) {
    return fail(Errc::io, "a broker that does not know the cluster's topics yet has answered");
  }
  Change change;
  SLUICE_TRY(find_new(cluster, change));
  compare(cluster, change);
  note_brokers(cluster);
  announce_(std::move(change), [] {});
  set_trouble(trouble_of(cluster));
  const std::lock_guard lock(mutex_);
  notes_loaded_ = true;
  for (Task& job : std::exchange(waiting_, {})) jobs_.push_back(std::move(job));
  return {};
}

// Any broker is asked. That one has just died says nothing of the others: it is asked again, and
// librdkafka takes one that it still has a connection to.
Result<ClusterState> Registry::ask() {
  auto answer = query_cluster(instance()->client.get());
  const auto tries = std::min<std::ptrdiff_t>(std::ssize(brokers_), asked_brokers_max);
  for (std::ptrdiff_t i = 1; !answer && i < tries && !stopping_; ++i)
    answer = query_cluster(instance()->client.get());
  return answer;
}

void Registry::note_brokers(const ClusterState& cluster) {
  for (const auto& [id, address] : cluster.brokers) {
    const auto [broker, added] = brokers_.try_emplace(id, Broker{address});
    if (!broker->second.there) logger.info("a broker is there again", {{"broker", address}});
    broker->second = {address};
  }
  for (auto& [id, broker] : brokers_) {
    if (!broker.there || cluster.brokers.contains(id)) continue;
    broker.there = false;
    logger.warn("a broker has left the cluster", {{"broker", broker.address}});
  }
}

void Registry::compare(const ClusterState& cluster, Change& change) {
  find_grown(cluster, change);
  find_removed(cluster, change);
  if (++looks_ % looks_between_descriptions == 0) find_altered(change);
  std::erase_if(removed_here_, [&](const std::string& stream) {
    return !cluster.topics.contains(topic_of(stream));
  });
}

Registry::Known Registry::describe(const std::string& stream, std::uint32_t partitions,
                                   const TopicSettings& settings) const {
  const StreamNote note = notes_.of(stream);
  StreamConfig base{.partitions = partitions};
  base.wildcard = note.wildcard;
  base.internal = is_internal(stream);
  TopicConfig shown = settings.all;
  if (!settings.own.contains("segment.bytes")) shown.erase("segment.bytes");
  Known known{{stream, stream_id(stream, note.life), from_topic_config(shown, base)}};
  if (const auto found = settings.all.find("min.insync.replicas"); found != settings.all.end())
    if (const auto count = parse_integer(found->second))
      known.min_in_sync = static_cast<std::uint32_t>(*count);
  return known;
}

Result<void> Registry::find_new(const ClusterState& cluster, Change& change) {
  std::vector<std::string> fresh;
  for (const auto& [topic, partitions] : cluster.topics) {
    const auto stream = stream_of(topic);
    if (stream && !partitions.empty() && !known_.contains(*stream) &&
        !removed_here_.contains(*stream))
      fresh.push_back(topic);
  }
  for (std::size_t at = 0; at < fresh.size() && !stopping_; at += described_at_once) {
    const auto first = fresh.begin() + static_cast<std::ptrdiff_t>(at);
    const auto count = std::min(described_at_once, fresh.size() - at);
    const std::vector<std::string> topics(first, first + static_cast<std::ptrdiff_t>(count));
    SLUICE_TRY_ASSIGN(const auto described, describe_topics(instance()->client.get(), topics));
    for (const auto& [topic, settings] : described) {
      const std::string stream = *stream_of(topic);
      const auto partitions = static_cast<std::uint32_t>(cluster.topics.find(topic)->second.size());
      const auto& added = known_[stream] = describe(stream, partitions, settings);
      change.added.push_back(added.info);
    }
  }
  return {};
}

void Registry::find_grown(const ClusterState& cluster, Change& change) {
  for (auto& [stream, known] : known_) {
    const auto found = cluster.topics.find(topic_of(stream));
    if (found == cluster.topics.end()) continue;
    const auto partitions = static_cast<std::uint32_t>(found->second.size());
    if (partitions <= known.info.config.partitions) continue;
    const StreamInfo before = known.info;
    known.info.config.partitions = partitions;
    change.changed.push_back({before, known.info});
  }
}

void Registry::find_removed(const ClusterState& cluster, Change& change) {
  std::vector<std::string> gone;
  for (auto& [stream, known] : known_) {
    known.missing = cluster.topics.contains(topic_of(stream)) ? 0 : known.missing + 1;
    if (known.missing >= missing_max) gone.push_back(stream);
  }
  for (const auto& stream : gone) {
    StreamNote note = notes_.of(stream);
    ++note.life;
    if (!is_internal(stream) && !notes_.put(stream, note)) continue;  // at the next look
    logger.warn("a topic was removed from the cluster", {{"topic", topic_of(stream)}});
    producer_.forget(topic_of(stream));
    change.removed.push_back(known_.at(stream).info);
    known_.erase(stream);
  }
}

// A part of the streams each time: others may change the settings of their topics.
void Registry::find_altered(Change& change) {
  std::vector<std::string> topics;
  auto at = known_.upper_bound(described_up_to_);
  for (; at != known_.end() && topics.size() < described_at_once; ++at)
    topics.push_back(topic_of(at->first));
  described_up_to_ = at == known_.end() ? "" : std::prev(at)->first;
  const auto described = describe_topics(instance()->client.get(), topics);
  if (!described) return;  // said by the next look, if it lasts
  for (const auto& [topic, settings] : *described) {
    Known& known = known_.at(*stream_of(topic));
    Known now = describe(known.info.name, known.info.config.partitions, settings);
    now.missing = known.missing;
    if (now.info.config != known.info.config) change.changed.push_back({known.info, now.info});
    known = std::move(now);
  }
}

// Partitions of ours that cannot be written: they are what makes the hub not ready.
std::string Registry::trouble_of(const ClusterState& cluster) const {
  std::string first;
  std::size_t others = 0;
  for (const auto& [stream, known] : known_) {
    const auto found = cluster.topics.find(topic_of(stream));
    if (found == cluster.topics.end()) continue;
    for (std::size_t i = 0; i < found->second.size(); ++i) {
      const PartitionState& partition = found->second[i];
      if (partition.has_leader && partition.in_sync >= known.min_in_sync) continue;
      if (!first.empty()) {
        ++others;
        continue;
      }
      const Place place{found->first, static_cast<std::uint32_t>(i)};
      first = partition.has_leader
                  ? fmt::format("{} has {} of {} in-sync replicas that it needs to be written",
                                to_string(place), partition.in_sync, known.min_in_sync)
                  : fmt::format("{} has no leader", to_string(place));
    }
  }
  if (first.empty()) return {};
  if (others > 0) first += fmt::format(", and {} more partitions", others);
  std::vector<std::string> away;
  for (const auto& [id, broker] : brokers_)
    if (!broker.there) away.push_back(broker.address);
  if (!away.empty()) first += fmt::format("; not there: broker {}", fmt::join(away, ", "));
  return "kafka_cluster: " + first;
}

// --- changing

void Registry::create(std::string name, StreamConfig config, Done<StreamInfo> done) {
  auto creating =
      std::make_shared<Creating>(Creating{std::move(name), config, std::move(done), false});
  if (!enter([this, creating] { create_or_wait(creating); }))
    creating->done(fail(Errc::busy, "{} changes of streams are waiting", jobs_max));
}

void Registry::create_or_wait(const std::shared_ptr<Creating>& creating) {
  Change change;
  auto made = create_now(*creating, change);
  if (!made && made.error().code == Errc::io && waiting_.size() < jobs_max) {
    logger.warn("a stream could not be made; tried again when the cluster answers",
                {{"stream", creating->name}, {"reason", made.error().text}});
    waiting_.push_back([this, creating] { create_or_wait(creating); });
    return;
  }
  announce_(std::move(change), [creating, made = std::move(made)] { creating->done(made); });
}

void Registry::remove(std::string name, Done<void> done) {
  auto shared = std::make_shared<Done<void>>(std::move(done));
  const bool entered = enter([this, name = std::move(name), shared] {
    Change change;
    auto removed = remove_now(name, change);
    announce_(std::move(change), [shared, removed = std::move(removed)] { (*shared)(removed); });
  });
  if (!entered) (*shared)(fail(Errc::busy, "{} changes of streams are waiting", jobs_max));
}

void Registry::alter(std::string name, StreamConfig config, Done<StreamInfo> done) {
  auto shared = std::make_shared<Done<StreamInfo>>(std::move(done));
  const bool entered = enter([this, name = std::move(name), config, shared] {
    Change change;
    auto altered = alter_now(name, config, change);
    announce_(std::move(change), [shared, altered = std::move(altered)] { (*shared)(altered); });
  });
  if (!entered) (*shared)(fail(Errc::busy, "{} changes of streams are waiting", jobs_max));
}

void Registry::flush(Task done) {
  const std::lock_guard lock(mutex_);
  flush_ = std::move(done);
  changed_.notify_one();
}

// A later try goes on where an earlier one failed.
Result<StreamInfo> Registry::create_now(Creating& creating, Change& change) {
  const std::string& name = creating.name;
  const StreamConfig config = as_kafka_can(creating.config);
  const std::string topic = topic_of(name);
  if (!creating.made) {
    if (known_.contains(name)) return fail(Errc::exists, "stream {} exists already", name);
    SLUICE_TRY(create_topic(instance()->client.get(), {.name = topic,
                                                       .partitions = config.partitions,
                                                       .replication = options_.replication,
                                                       .config = to_topic_config(config)}));
    creating.made = true;
    removed_here_.erase(name);
  }
  StreamNote note = notes_.of(name);
  note.wildcard = config.wildcard;
  SLUICE_TRY(notes_.put(name, note));
  SLUICE_TRY(wait_for_leaders(topic, config.partitions));
  if (note.life > 0)
    if (const auto empty = wait_until_empty(topic, config.partitions); !empty)
      logger.info("somebody writes to a stream that is being made",
                  {{"stream", name}, {"reason", empty.error().text}});
  SLUICE_TRY_ASSIGN(const auto described, describe_topics(instance()->client.get(), {topic}));
  const auto settings = described.find(topic);
  if (settings == described.end()) return fail(Errc::io, "{}: made, but not to be seen", topic);
  const auto [at, is_new] = known_.try_emplace(name);  // a look may have found it between two tries
  const StreamInfo before = at->second.info;
  at->second = describe(name, config.partitions, settings->second);
  const StreamInfo& now = at->second.info;
  if (is_new) {
    change.added.push_back(now);
  } else if (now.config != before.config) {
    change.changed.push_back({before, now});
  }
  return now;
}

Result<void> Registry::remove_now(const std::string& name, Change& change) {
  const auto found = known_.find(name);
  if (found == known_.end()) return fail(Errc::not_found, "there is no stream {}", name);
  if (found->second.info.config.internal)
    return fail(Errc::invalid, "stream {} is sluice's own", name);
  const auto removed = delete_topic(instance()->client.get(), topic_of(name));
  if (!removed && removed.error().code != Errc::not_found) return removed;
  StreamNote note = notes_.of(name);
  ++note.life;
  note.wildcard = false;
  if (const auto noted = notes_.put(name, note); !noted)
    logger.error("a stream that is made again under this name will be taken for the old one",
                 {{"stream", name}, {"reason", noted.error().text}});
  producer_.forget(topic_of(name));
  removed_here_.insert(name);
  change.removed.push_back(found->second.info);
  known_.erase(found);
  if (const auto gone = wait_until_gone(topic_of(name)); !gone)
    logger.warn("a stream that is made again now may get what is meant for the old one",
                {{"stream", name}, {"reason", gone.error().text}});
  return {};
}

Result<StreamInfo> Registry::alter_now(const std::string& name, StreamConfig config,
                                       Change& change) {
  const auto found = known_.find(name);
  if (found == known_.end()) return fail(Errc::not_found, "there is no stream {}", name);
  Known& known = found->second;
  config = as_kafka_can(config);
  if (config.partitions < known.info.config.partitions)
    return fail(Errc::invalid, "stream {} has {} partitions: there can't be fewer", name,
                known.info.config.partitions);
  const std::string topic = topic_of(name);
  const StreamInfo before = known.info;
  if (config.partitions > known.info.config.partitions) {
    SLUICE_TRY(add_partitions(instance()->client.get(), topic, config.partitions));
    SLUICE_TRY(wait_for_leaders(topic, config.partitions));
  }
  const TopicConfig settings = to_topic_config(config);
  SLUICE_TRY(alter_topic_config(instance()->client.get(), topic, settings));
  if (const auto seen = wait_until_seen(topic, settings); !seen)
    logger.warn("a stream may be shown as it was before",
                {{"stream", name}, {"reason", seen.error().text}});
  StreamNote note = notes_.of(name);
  note.wildcard = config.wildcard;
  SLUICE_TRY(notes_.put(name, note));
  known.info.config = config;
  known.info.config.internal = before.config.internal;
  change.changed.push_back({before, known.info});
  return known.info;
}

template <class Holds>
Result<void> Registry::wait_until(Holds holds, std::string what_is_wrong) {
  const auto end = std::chrono::steady_clock::now() + change_patience;
  while (!stopping_) {
    SLUICE_TRY_ASSIGN(const bool does, holds());
    if (does) return {};
    if (std::chrono::steady_clock::now() > end) return fail(Errc::io, "{}", what_is_wrong);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(20), [this] { return stopping_.load(); });
  }
  return fail(Errc::closed, "the hub stops");
}

// Brokers learn of a change one after the other; until then they know no such partition.
Result<void> Registry::wait_for_leaders(const std::string& topic, std::uint32_t partitions) {
  return wait_until(
      [&] -> Result<bool> {
        SLUICE_TRY_ASSIGN(const ClusterState cluster, query_cluster(instance()->client.get()));
        const auto found = cluster.topics.find(topic);
        return found != cluster.topics.end() && found->second.size() >= partitions &&
               std::ranges::all_of(found->second, &PartitionState::has_leader);
      },
      fmt::format("{}: made, but not all of its partitions have a leader", topic));
}

// A broker that has not heard of new settings yet would have the next look take the old ones for
// news.
Result<void> Registry::wait_until_seen(const std::string& topic, const TopicConfig& settings) {
  return wait_until(
      [&] -> Result<bool> {
        SLUICE_TRY_ASSIGN(const auto described, describe_topics(instance()->client.get(), {topic}));
        const auto found = described.find(topic);
        return found != described.end() && std::ranges::includes(found->second.own, settings);
      },
      fmt::format("{}: altered, but its old settings are still to be seen", topic));
}

// A broker that has not heard of the removal yet takes the topic that is made next for this one.
Result<void> Registry::wait_until_gone(const std::string& topic) {
  return wait_until(
      [&] -> Result<bool> {
        SLUICE_TRY_ASSIGN(const ClusterState cluster, query_cluster(instance()->client.get()));
        return !cluster.topics.contains(topic);
      },
      fmt::format("{}: removed, but still to be seen", topic));
}

// Of a topic that had another before it under its name: a leader of that which has not heard of the
// removal still answers with its offsets.
Result<void> Registry::wait_until_empty(const std::string& topic, std::uint32_t partitions) {
  std::vector<Place> places;
  places.reserve(partitions);
  for (std::uint32_t i = 0; i < partitions; ++i) places.push_back({topic, i});
  return wait_until(
      [&] -> Result<bool> {
        for (const auto& bounds : query_bounds(instance()->client.get(), places))
          if (!bounds || bounds->visible_end > Offset{0}) return false;
        return true;
      },
      fmt::format("{}: made again, and not empty", topic));
}

}  // namespace sluice::kafka_stream
