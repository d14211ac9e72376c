#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace sluice::sessions {

// What the table `__sessions` holds (docs/formats/sessions.md): of each session one row that says
// whose life it is (Meta), one per filter, and one with all that changes with the messages
// (Progress); and how far evidence has been taken from each data partition.

// One life of a session: even and never 0. Sessions that are not stored have odd ids.
using Uid = std::uint64_t;

constexpr std::uint32_t never_expires = 0xffff'ffff;  // MQTT 5, section 3.1.2.11.2
// A session may read so many; who subscribes checks it. Streams may get more partitions later.
constexpr std::size_t partitions_max = 1024;

// One life of a shared subscription of a session: who subscribes anew gets another one. 0: none.
using ShareId = std::uint64_t;

// A subscription (MQTT 5, section 3.8.3.1).
struct Filter {
  std::string text{};
  std::uint8_t qos = 0;
  bool no_local = false;
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;
  std::uint32_t id = 0;  // subscription identifier; 0: none
  // Per partition: it covers only what is at or above. Of a replay: where it began.
  std::vector<Position> since{};
  ShareId share = 0;  // of a shared one, for whose group it counts
  friend bool operator==(const Filter&, const Filter&) = default;
};

enum class SentState : std::uint8_t {
  qos1,      // PUBLISH sent
  qos2,      // PUBLISH sent
  released,  // PUBREL sent
};

// A message that was sent to the client and is not settled.
struct InFlight {
  std::uint16_t packet_id = 0;
  SentState state = SentState::qos1;
  Position position{};
  // group_mark() of the shared subscription or replay that it came from; 0: none
  std::uint32_t group = 0;
  // Of a retained message, which the log may have no more; empty: it is none. Its position is where
  // it was published (latest::Portion::published_at).
  std::string retained_topic{};
  friend bool operator==(const InFlight&, const InFlight&) = default;
};

// Where a replay has come to ("$stream/...").
struct ReplayPlace {
  std::string text{};
  std::vector<Position> next{};  // per partition: the next record wanted
  friend bool operator==(const ReplayPlace&, const ReplayPlace&) = default;
};

// The retained messages that a filter has yet to get.
struct RetainedRest {
  std::string filter{};
  std::vector<Position> before{};  // per partition: those below; later ones come by the log
  std::uint32_t done = 0;          // of these partitions: all was given
  std::string from{};              // where it goes on in the next (latest::Portion::next)
  friend bool operator==(const RetainedRest&, const RetainedRest&) = default;
};

// Offsets that a session was moved on past without being offered what is there, whether that was
// for it or not: no fewer than the messages that it has lost.
struct Lost {
  std::uint64_t retention = 0;  // the log had removed them
  std::uint64_t lag_limit = 0;  // it was further behind than it may be
  friend bool operator==(const Lost&, const Lost&) = default;
};

// All that changes with the messages, replaced as a whole: so a crash leaves a session as it was at
// some moment.
struct Progress {
  std::vector<Position> next{};       // per partition: the next record wanted
  std::vector<InFlight> in_flight{};  // in the order first sent
  std::uint16_t next_packet_id = 1;
  // QoS 2 from the client: of its publishes all up to this number are durable and known here; those
  // beyond are found by their evidence (log::Qos2Evidence::n).
  std::uint64_t received = 0;
  std::vector<std::uint16_t> open{};  // packet ids of its publishes without PUBREL
  Lost lost{};                        // in all its life
  std::vector<ReplayPlace> replays{};
  std::vector<RetainedRest> retained{};
  friend bool operator==(const Progress&, const Progress&) = default;
};

// Where a replay of a session goes on. A partition that is not named there has been made since.
std::vector<Position> place_of(const Filter& replay, const Progress& progress);

// How far a shared subscription has come that outlives its members (MQTT 5, section 4.8.2).
struct GroupState {
  std::uint64_t process = 0;      // as of Meta: what another one has left was cut off, or stopped
  std::vector<Position> next{};   // per partition: the next record that nobody was given
  std::vector<Position> open{};   // below: given and not settled, or come back
  std::vector<Position> taken{};  // at or above: members have them, so nobody else gets them
  friend bool operator==(const GroupState&, const GroupState&) = default;
};

struct Will {
  std::string topic{};
  Buffer payload{};
  Buffer properties{};  // as the caller encodes them
  std::uint8_t qos = 0;
  bool retain = false;
  std::uint32_t delay_s = 0;
  friend bool operator==(const Will&, const Will&) = default;
};

// When the client went, and for how long its session stays from then on.
struct Left {
  WallMs gone_at = 0;
  std::uint32_t expiry_s = 0;

  [[nodiscard]] bool expired(WallMs now) const {
    return expiry_s != never_expires && gone_at + std::int64_t{expiry_s} * 1000 <= now;
  }
  friend bool operator==(const Left&, const Left&) = default;
};

struct Meta {
  Uid uid = 0;
  // Of the process that wrote the row: what another one has left "connected" was cut off by a
  // crash, and its wills are not in this one's memory.
  std::uint64_t process = 0;
  bool connected = false;
  bool crashed = false;  // not connected, because the hub went down
  Left left{};           // gone_at is 0 while connected
  std::optional<Will> will{};
  friend bool operator==(const Meta&, const Meta&) = default;
};

// Rows of filters and of progress name the life that they belong to; those of another one count as
// not there.
template <class T>
struct OfLife {
  Uid uid = 0;
  T value;
  friend bool operator==(const OfLife&, const OfLife&) = default;
};

Buffer encode_meta(const Meta& meta);
Buffer encode_filter(Uid uid, const Filter& filter);  // all but its text, which is in the key
Buffer encode_progress(Uid uid, const Progress& progress);
Buffer encode_evidence_position(Offset next);
Buffer encode_group(const GroupState& state);
Buffer encode_holder(std::string_view client_id);

// Errors: malformed; unsupported for a row that a newer version has written.
Result<Meta> decode_meta(Bytes value);
Result<OfLife<Filter>> decode_filter(std::string_view text, Bytes value);
Result<OfLife<Progress>> decode_progress(Bytes value);
Result<Offset> decode_evidence_position(Bytes value);
Result<GroupState> decode_group(Bytes value);
Result<std::string> decode_holder(Bytes value);  // the client id

// Keys. Neither client ids nor filters hold a byte 0 (MQTT 5, section 1.5.4).
std::string meta_key(std::string_view client_id);
std::string progress_key(std::string_view client_id);
std::string filter_key(std::string_view client_id, std::string_view text);
std::string evidence_key(Partition partition);
// `text` is what clients subscribe to, "$share/<name>/<filter>".
std::string group_key(std::string_view text);
std::string holder_key(std::string_view text, ShareId share);

// Keys from `from` on and below `until`.
struct KeyRange {
  std::string from;
  std::string until;
};
KeyRange metas_after(std::string_view client_id);  // empty: all
KeyRange groups_after(std::string_view text);      // empty: all
KeyRange filters_of(std::string_view client_id);
KeyRange evidence_keys();
KeyRange holders_of(std::string_view text);

// What a key names; of another kind of row: nothing.
std::optional<std::string_view> client_in_meta_key(std::string_view key);
std::optional<std::string_view> group_in_key(std::string_view key);
// Precondition: the key lies in filters_of(client_id).
std::string_view filter_in_key(std::string_view client_id, std::string_view key);
std::optional<Partition> partition_in_evidence_key(std::string_view key);
// Precondition: the key lies in holders_of(text). 0: it is none.
ShareId share_in_holder_key(std::string_view text, std::string_view key);

// The slot of all rows of a shared subscription; its home is that of the slot.
std::uint32_t slot_of_group(std::string_view text);
// What tells the messages of one shared subscription or replay in a session's progress from those
// of others: Kafka's murmur2 of its text; never 0.
std::uint32_t group_mark(std::string_view text);

}  // namespace sluice::sessions
