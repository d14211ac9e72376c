#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hub/router.h"
#include "hub/subscriptions.h"
#include "latest/latest.h"
#include "runtime/loop.h"
#include "sessions/record.h"
#include "stream/stream.h"

namespace sluice::hub {

// The retained messages that a new subscription gets first (MQTT 5, sections 3.3.1.3 and 3.8.3.1).
//
// A snapshot names, for each partition that its filter covers, the offset at which it is taken. Its
// subscriber lags: it reads on up to these offsets and stops there (Lag::At::stop), then gets the
// retained messages below them portion by portion, and only then what comes later. A message that
// is published meanwhile is beyond the offset and comes by the log, so nothing is missing, nothing
// comes twice, and nothing older follows what is newer. The snapshots of one subscriber run one
// after the other; what a sink does not take of a portion is read again when it can.
class Snapshots {
 public:
  // `released` is told of a subscriber whose stops have changed; `note_places` brings Lag::At::next
  // of one up to date.
  Snapshots(runtime::Loop& loop, stream::Stream& stream, const Router& router,
            Subscriptions& subscriptions, latest::Latest& latest,
            std::function<void(Handle)> released, std::function<void(Handle)> note_places);

  // Takes the place of an earlier one for the same filter. It begins with start(), when its places
  // are complete. Returns its id.
  std::uint64_t add(Handle handle, const std::string& filter);
  void add_place(Handle handle, std::uint64_t snapshot, Partition partition, Offset before);
  void start(Handle handle, std::uint64_t snapshot);
  void remove(Handle handle, std::string_view filter);

  // What is left of those of a subscriber, and one of them again, for a subscriber that is held;
  // `made_since`: partitions that it does not name.
  [[nodiscard]] std::vector<sessions::RetainedRest> rests(Handle handle);
  void restore(Handle handle, const sessions::RetainedRest& rest,
               const std::vector<Partition>& made_since);

  // Topics have moved into this stream: what has been read of it may not be all.
  void extend(const stream::StreamInfo& stream);
  // The subscriber lags in other partitions than before.
  void renew_stops(Handle handle);
  // A subscriber has reached a stop, or can take more.
  void wake(Handle handle);

 private:
  Snapshot* find(Handle handle, std::uint64_t snapshot);
  void run(Handle handle);
  void settle(Handle handle, Snapshot& snapshot);
  void scan(Handle handle, Snapshot& snapshot);
  void on_portion(Handle handle, std::uint64_t id, Partition partition,
                  const Result<latest::Portion>& portion);
  [[nodiscard]] bool deliver(Handle handle, std::uint64_t id, Partition partition,
                             const latest::Portion& portion);
  void end(Handle handle, std::uint64_t snapshot);

  runtime::Loop& loop_;
  stream::Stream& stream_;
  const Router& router_;
  Subscriptions& subscriptions_;
  latest::Latest& latest_;
  std::function<void(Handle)> released_;
  std::function<void(Handle)> note_places_;
  std::uint64_t last_id_ = 0;
  std::vector<Delivery> deliveries_;  // reused
};

}  // namespace sluice::hub
