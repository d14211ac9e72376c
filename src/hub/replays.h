#pragma once

#include <cstdint>
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
                 const StartPoint& from, Done<void> done);
  void restore(Handle subscriber, const StoredFilter& filter, Done<void> done);
  [[nodiscard]] std::vector<Position> positions(Handle subscriber, std::string_view text);
  bool unsubscribe(Handle subscriber, std::string_view text);
  [[nodiscard]] bool has(Handle subscriber, std::string_view text);
  void describe(Handle subscriber, SubscriberState& state);  // adds its replays
  void remove(Handle subscriber);
  void resume(Handle subscriber);

 private:
  struct Replay {
    std::string text;
    SubscribeOptions options;
    Handle cursor{};          // of the Distributor; invalid until its first start is known
    std::uint32_t asked = 0;  // starts that are not known yet
  };

  Replay* find(Handle subscriber, std::string_view text);
  Replay& find_or_add(Handle subscriber, const std::string& text);
  void on_starts(Handle subscriber, const std::string& text, const SubscribeOptions& options,
                 Result<std::vector<Offset>> starts, Done<void> done);
  // How its cursor subscribes.
  [[nodiscard]] StoredFilter own_filter(const Replay& replay) const;
  void begin(Handle subscriber, Replay& replay, std::vector<Offset> starts, Done<void> done);

  stream::Stream& stream_;
  const Router& router_;
  Distributor& distributor_;
  std::unordered_map<std::uint32_t, std::vector<Replay>> of_subscribers_;  // by their index
};

}  // namespace sluice::hub
