#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/start_point.h"
#include "base/task.h"
#include "hub/distributor.h"
#include "hub/handle.h"
#include "hub/hub.h"
#include "hub/router.h"
#include "sessions/record.h"
#include "stream/stream.h"

namespace sluice::hub {

// The replays of this shard's subscribers: "$stream/<stream>[/<filter>]", the records of one stream
// from a place of the client's choice on.
//
// Each is a subscriber of the Distributor beside its client's own, with the same sink: a cursor
// that lags from its start. Sweeps serve it with all others that lag, it joins the tail when it is
// there, and what retention takes before its turn is counted as lost. So it gets a copy of its own
// of what other filters of the client match, too, and costs what a subscriber costs.
class Replays {
 public:
  Replays(stream::Stream& stream, const Router& router, Distributor& distributor)
      : stream_(stream), router_(router), distributor_(distributor) {}

  // As Hub has them.
  void subscribe(Handle subscriber, const std::string& text, const SubscribeOptions& options,
                 const std::optional<StartPoint>& from, Done<void> done);
  void restore(Handle subscriber, const StoredFilter& filter, Done<void> done);
  [[nodiscard]] std::vector<Position> restored_positions(const StoredFilter& filter) const;
  // Of one: nothing until its start is known.
  [[nodiscard]] std::vector<Position> positions(Handle subscriber, std::string_view text);
  [[nodiscard]] std::vector<sessions::ReplayPlace> places(Handle subscriber);
  // The subscriber of the Distributor that reads for the replay of that Grant::replay; not valid:
  // there is none.
  [[nodiscard]] Handle cursor_of(Handle subscriber, std::uint32_t mark);
  bool unsubscribe(Handle subscriber, std::string_view text);
  [[nodiscard]] bool has(Handle subscriber, std::string_view text);
  void describe(Handle subscriber, SubscriberState& state);  // adds its replays
  void remove(Handle subscriber);
  void resume(Handle subscriber);

 private:
  struct Replay {
    std::string text;
    std::uint32_t mark = 0;  // Grant::replay
    SubscribeOptions options{};
    Handle cursor{};          // of the Distributor; invalid until its first start is known
    std::uint32_t asked = 0;  // starts that are not known yet
  };

  Replay* find(Handle subscriber, std::string_view text);
  Replay& find_or_add(Handle subscriber, const std::string& text);
  // How many partitions its replays cover, without the one of that text.
  std::size_t count_others(Handle subscriber, std::string_view text);
  void go_on(Replay& replay, const SubscribeOptions& options, Done<void> done);
  void on_starts(Handle subscriber, const std::string& text, const SubscribeOptions& options,
                 Result<std::vector<Offset>> starts, Done<void> done);
  // How its cursor subscribes.
  [[nodiscard]] StoredFilter own_filter(std::string_view text,
                                        const SubscribeOptions& options) const;
  void begin(Handle subscriber, Replay& replay, const std::vector<Offset>& starts, Done<void> done);

  stream::Stream& stream_;
  const Router& router_;
  Distributor& distributor_;
  std::unordered_map<std::uint32_t, std::vector<Replay>> of_subscribers_;  // by their index
};

}  // namespace sluice::hub
