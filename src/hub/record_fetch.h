#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/task.h"
#include "hub/distributor.h"
#include "hub/handle.h"
#include "hub/hub.h"
#include "hub/replays.h"
#include "hub/router.h"
#include "latest/latest.h"
#include "runtime/loop.h"
#include "stream/stream.h"

namespace sluice::hub {

// Reads records again by their places in the log, and retained messages by their topics
// (Hub::fetch).
//
// Shard: that of the asker, a subscriber; with it its fetches end, without a word.
// Bound: a fetch keeps one answer of the log: 64 KiB, or one larger block.
// Failure: what the log can't read now is tried again, each second.
class RecordFetch {
 public:
  RecordFetch(runtime::Loop& loop, stream::Stream& stream, latest::Latest& latest, Router& router,
              Distributor& distributor, Replays& replays)
      : loop_(loop),
        stream_(stream),
        latest_(latest),
        router_(router),
        distributor_(distributor),
        replays_(replays) {}

  void start(Handle asker, std::vector<WantedRecord> records, FetchSink& sink,
             Done<std::size_t> done);

 private:
  struct Fetch {
    Handle asker;
    std::vector<WantedRecord> records;
    FetchSink* sink;
    Done<std::size_t> done;
    std::size_t next = 0;  // of records
    // What is known of the log: all that is there of this partition from `from` up to `until`.
    Partition partition{};
    Offset from{}, until{};
    std::vector<stream::BlockRef> blocks{};
    std::string prefix{};  // of its topics

    [[nodiscard]] bool knows(Position position) const {
      return position.partition == partition && position.offset >= from && position.offset < until;
    }
  };
  using FetchRef = std::shared_ptr<Fetch>;

  void go_on_later(const FetchRef& fetch);
  void go_on(const FetchRef& fetch);
  [[nodiscard]] bool is_there(Handle asker) { return distributor_.sink_of(asker) != nullptr; }
  [[nodiscard]] bool hand_over(const Fetch& fetch, const WantedRecord& wanted);
  [[nodiscard]] const Grant* grant_again(const Fetch& fetch, const WantedRecord& wanted,
                                         std::string_view key);
  void read(const FetchRef& fetch, Position position);
  void on_read(const FetchRef& fetch, Position position, Result<stream::ReadAnswer> answer);
  void find_bounds(const FetchRef& fetch, Position position);
  void find_retained(const FetchRef& fetch, const std::string& from);
  void scan_retained(const FetchRef& fetch, Partition partition, const std::string& from);
  void on_retained(const FetchRef& fetch, Partition partition, const latest::Portion& portion);
  void retry(const FetchRef& fetch);

  runtime::Loop& loop_;
  stream::Stream& stream_;
  latest::Latest& latest_;
  Router& router_;
  Distributor& distributor_;  // has the askers
  Replays& replays_;
};

}  // namespace sluice::hub
