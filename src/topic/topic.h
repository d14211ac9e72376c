#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

// Topic names and topic filters of MQTT: MQTT 3.1.1 section 4.7, MQTT 5 sections 4.7 and 4.8.2.
namespace sluice::topic {

inline constexpr std::size_t size_bytes_max = 65'535;  // [MQTT-4.7.3-3]

// What a PUBLISH may name: 1 to 65,535 bytes of UTF-8 without NUL and wildcards.
// Errors: malformed (no UTF-8, or a NUL), too_large, invalid (all else).
Result<void> validate_topic_name(std::string_view topic);

// What a SUBSCRIBE may name: as a topic name, but a level may be "+" and the last one may be "#".
// Errors as above. The text after "$share/<group>/" is what is to be checked of a shared
// subscription.
Result<void> validate_filter(std::string_view filter);

// Whether `text` begins as a shared subscription does, "$share/" or "$queue/"; it need not be a
// valid one.
bool is_shared(std::string_view text);
// Whether it begins as one that lasts without members, "$queue/<name>/<filter>".
bool is_queue(std::string_view text);

struct SharedFilter {
  std::string_view group;
  std::string_view filter;
};

// The parts of "$share/<group>/<filter>" or "$queue/<group>/<filter>", both checked
// ([MQTT-4.8.2-1], [MQTT-4.8.2-2]); nothing if `text` begins otherwise. The views are into `text`.
// Errors as above.
Result<std::optional<SharedFilter>> parse_shared(std::string_view text);

// Whether `text` begins as the subscription to a replay does, "$stream/"; it need not be a valid
// one.
bool is_replay(std::string_view text);

struct ReplayFilter {
  std::string_view stream;
  std::string_view filter;  // of keys: what follows the stream in its topics; "#" for all
};

// The parts of "$stream/<stream>[/<filter>]"; the filter is checked, of the stream only that it may
// be a name. Errors as of validate_filter().
Result<ReplayFilter> parse_replay(std::string_view text);

// Whether `text` begins as the topic of a delayed message does, "$delayed/"; it need not be a valid
// one.
bool is_delayed(std::string_view text);

struct DelayedTopic {
  std::uint32_t seconds;
  std::string_view topic;  // may be none that is valid
};

// The parts of "$delayed/<seconds>/<topic>". Errc::invalid: the seconds are no decimal number of at
// most nine digits, or there is no topic.
Result<DelayedTopic> parse_delayed(std::string_view text);

// Whether a valid filter covers a valid topic name. A filter that begins with a wildcard does not
// cover topics that begin with '$' ([MQTT-4.7.2-1]); "a/#" covers "a".
bool matches(std::string_view filter, std::string_view topic);

// Whether a valid filter covers all topics that another one covers.
bool covers(std::string_view wide, std::string_view narrow);

// Whether some topic is covered by both of two valid filters.
bool overlap(std::string_view one, std::string_view other);

// Goes through the levels of a topic or filter: "a//b" has "a", "" and "b", and "" has one empty
// level.
class Levels {
 public:
  explicit Levels(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool done() const { return done_; }
  std::string_view next() {
    const std::size_t slash = rest_.find('/');
    const std::string_view level = rest_.substr(0, slash);
    done_ = slash == std::string_view::npos;
    rest_.remove_prefix(done_ ? rest_.size() : slash + 1);
    return level;
  }

 private:
  std::string_view rest_;
  bool done_ = false;
};

}  // namespace sluice::topic
