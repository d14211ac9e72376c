#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/result.h"
#include "base/task.h"
#include "runtime/loop.h"

namespace sluice::trace {

using TraceId = std::uint32_t;

// What somebody wants to see.
struct Query {
  enum class By : std::uint8_t { client, topic, ip };
  By by = By::client;
  std::string value{};          // a client id, an MQTT filter, or an address without a port
  std::size_t payload_max = 0;  // bytes shown of each payload; 0: none
};
std::string_view to_string(Query::By by);

// Errc::invalid names what is wrong with the value. An address is given the form that peers have.
Result<Query> checked(Query query);

// A client as traces name it.
struct Who {
  std::string client{};  // its id; empty: not known (yet), or it has none
  std::string peer{};    // address and port; may be empty unless Tracer::asks_for_peers()
};

// Whom and what an event is about. A trace shows the events whose subject fits its query.
struct Subject {
  std::string_view client{};
  std::string_view peer{};
  std::string_view topic{};  // empty: the event is about no message
  std::optional<Bytes> payload{};
  TraceId only = 0;  // not 0: it is for this trace alone, if it fits
};

// The traces of one shard: what happens to clients and messages, told while somebody looks.
//
// Everybody who sees packets or decides about messages asks active() once per batch, and only then
// looks closer and calls emit(). So a hub that nobody traces pays a branch per batch; while a trace
// is on, all clients of the shard pay for the question whether they are meant.
//
// An event is one line of JSON, an object with `ts_ms`, `shard`, `event`, and what is known of
// `client`, `peer`, `topic`; docs/reference/admin-api.md lists the events and their other members.
//
// Bound: buffer_max bytes per trace wait here, and as many are on their way. Beyond, events are
// dropped; their number is told as soon as there is room (`dropped`).
class Tracer {
 public:
  static constexpr std::size_t traces_max = 4;
  static constexpr std::size_t buffer_max = 256 << 10;
  static constexpr std::size_t publishers_max = 4096;

  // Hands lines over; `taken` runs here when there is room for the next ones.
  using Send = std::move_only_function<void(TraceId trace, std::string lines, Task taken)>;

  Tracer(runtime::Loop& loop, ShardId shard, Send send);
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  [[nodiscard]] bool active() const { return !traces_.empty(); }
  // Some trace is of an address: subjects must name their peers.
  [[nodiscard]] bool asks_for_peers() const { return asks_for_peers_; }
  [[nodiscard]] bool wants(const Subject& subject) const { return select(subject) != 0; }

  void emit(std::string_view event, const Subject& subject) {
    emit(event, subject, [](JsonObject&) {});
  }
  // `describe` adds the event's own members; it is called only if somebody wants the event.
  template <class Describe>
  void emit(std::string_view event, const Subject& subject, Describe describe) {
    const Selection selection = select(subject);
    if (selection == 0) return;
    JsonObject line = begin(event, subject);
    describe(line);
    add(selection, line, subject);
  }

  // Who is behind a session that publishes, so that what becomes of its records can name it.
  void note_publisher(std::uint64_t session, const Who& who);
  [[nodiscard]] Who publisher(std::uint64_t session) const;

  // Precondition: fewer than traces_max are on.
  void start(TraceId id, Query query);
  void stop(TraceId id);

 private:
  struct Trace {
    TraceId id;
    Query query;
    std::string lines{};
    std::uint64_t dropped = 0;
    bool sending = false;  // or about to
  };
  using Selection = std::uint8_t;  // a bit for each of traces_
  static_assert(traces_max <= 8);

  [[nodiscard]] Selection select(const Subject& subject) const;
  [[nodiscard]] JsonObject begin(std::string_view event, const Subject& subject) const;
  void add(Selection selection, const JsonObject& line, const Subject& subject);
  void append(Trace& trace, const std::string& line);
  [[nodiscard]] Trace* find(TraceId id);
  void send(TraceId id);

  runtime::Loop& loop_;
  ShardId shard_;
  Send send_;
  std::vector<Trace> traces_;
  bool asks_for_peers_ = false;
  std::unordered_map<std::uint64_t, Who> publishers_;  // of traced sessions, while a trace is on
};

}  // namespace sluice::trace
