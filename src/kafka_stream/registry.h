#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/task.h"
#include "kafka_stream/admin.h"
#include "kafka_stream/stream_notes.h"
#include "stream/stream.h"

namespace sluice::kafka_stream {

// What has become of streams, for all shards to take over at once.
struct Change {
  struct Changed {
    stream::StreamInfo before;
    stream::StreamInfo now;
  };
  std::vector<stream::StreamInfo> removed;
  std::vector<stream::StreamInfo> added;
  std::vector<Changed> changed;
  [[nodiscard]] bool empty() const { return removed.empty() && added.empty() && changed.empty(); }
};

// The streams of the cluster as a whole: looks at its topics each second, makes, changes and
// removes them, and tells the shards. On a thread of its own, which blocks on the cluster; one
// change after the other.
//
// A topic counts as removed when it was missing three times in a row: brokers know of news at
// different times. One that was removed by this hub is not shown again until it is made again.
//
// Bound:   64 changes that wait; beyond: Errc::busy.
// Failure: what is asked for before the cluster was first reached waits for that, and so does a
//          stream that is to be made, whenever the cluster does not answer: the hub cannot do
//          without its own. Other changes fail.
class Registry {
 public:
  // Takes a change to all shards, then runs `then` on one of them. Called on the thread.
  using Announce = std::move_only_function<void(Change change, Task then)>;

  // `producer` and `readers` outlive it.
  Registry(const Options& options, Producer& producer, ReaderPool& readers, Announce announce);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // From any thread; `done` runs on any. Names and configurations have been checked.
  void create(std::string name, stream::StreamConfig config, Done<stream::StreamInfo> done);
  void remove(std::string name, Done<void> done);
  void alter(std::string name, stream::StreamConfig config, Done<stream::StreamInfo> done);
  // Runs `done` once all that was produced is answered, or five seconds are over.
  void flush(Task done);

  // Why the cluster cannot be used now; empty when it can. From any thread.
  [[nodiscard]] std::string trouble() const;

 private:
  struct Known {
    stream::StreamInfo info;
    std::uint32_t min_in_sync = 1;
    int missing = 0;  // times in a row
  };
  // A stream that is being made, over as many tries as that takes.
  struct Creating {
    std::string name;
    stream::StreamConfig config;
    Done<stream::StreamInfo> done;
    bool made = false;  // the topic was, and only the rest is to be done
  };
  struct Broker {
    std::string address;
    bool there = true;
  };

  void run();
  void refresh();
  Result<void> look();
  Result<ClusterState> ask();
  void note_brokers(const ClusterState& cluster);
  void compare(const ClusterState& cluster, Change& change);
  Result<void> find_new(const ClusterState& cluster, Change& change);
  void find_grown(const ClusterState& cluster, Change& change);
  void find_removed(const ClusterState& cluster, Change& change);
  void find_altered(Change& change);
  [[nodiscard]] Known describe(const std::string& stream, std::uint32_t partitions,
                               const TopicSettings& settings) const;
  [[nodiscard]] std::string trouble_of(const ClusterState& cluster) const;
  void set_trouble(std::string trouble);

  bool enter(Task job);  // false: too many
  void create_or_wait(const std::shared_ptr<Creating>& creating);
  Result<stream::StreamInfo> create_now(Creating& creating, Change& change);
  Result<void> remove_now(const std::string& name, Change& change);
  Result<stream::StreamInfo> alter_now(const std::string& name, stream::StreamConfig config,
                                       Change& change);
  Result<void> wait_for_leaders(const std::string& topic, std::uint32_t partitions);
  Result<void> wait_until_seen(const std::string& topic, const TopicConfig& settings);
  Result<void> wait_until_gone(const std::string& topic);
  Result<void> wait_until_empty(const std::string& topic, std::uint32_t partitions);
  // Asks again and again until `holds()` says true; not for ever: then Errc::io says what is wrong.
  template <class Holds>
  Result<void> wait_until(Holds holds, std::string what_is_wrong);
  [[nodiscard]] std::shared_ptr<Producer::Instance> instance() { return producer_.instance(); }

  const Options options_;
  Producer& producer_;
  Announce announce_;
  std::atomic<bool> stopping_ = false;

  // The thread's own:
  StreamNotes notes_;
  bool notes_loaded_ = false;
  std::map<std::string, Known> known_;  // by stream
  std::set<std::string> removed_here_;  // and not yet seen to be gone
  std::string described_up_to_;         // by find_altered
  int looks_ = 0;
  std::map<std::int32_t, Broker> brokers_;  // that were ever seen
  std::chrono::system_clock::time_point failing_since_{};
  std::vector<Task> waiting_;  // jobs for when the cluster answers again

  mutable std::mutex mutex_;  // all below
  std::condition_variable changed_;
  std::deque<Task> jobs_;
  Task flush_;  // of flush(), while it waits
  std::string trouble_ = "kafka_cluster: not reached yet";
  std::thread thread_;
};

}  // namespace sluice::kafka_stream
