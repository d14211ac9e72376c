#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::latest {

// Which keys of a stream a topic filter covers, in terms of ordered keys (row.h): a walk through
// them seeks from one that may be covered to the next, so "a/+/c" touches each child of "a" once
// and "a/#" is one range (MQTT 5, section 4.7).
class KeyFilter {
 public:
  // The stream's topics are `prefix` ("" or "<stream>/") followed by the record key. `filter` is
  // valid.
  KeyFilter(std::string_view prefix, std::string_view filter);

  // The first key at or beyond `key` that may be covered; `key` itself exactly if it is covered.
  // Nothing: none is left.
  [[nodiscard]] std::optional<std::string> seek(std::string_view key) const;
  // Beyond all that is covered; empty: no end.
  [[nodiscard]] std::string end() const;

 private:
  [[nodiscard]] std::string complete(std::string begin, std::size_t level) const;
  [[nodiscard]] std::optional<std::string> advance(std::string_view key, std::size_t level) const;

  std::vector<std::string> levels_;  // of the key; without the '#' at the end
  bool deeper_ = false;              // there was a '#'
  bool none_ = false;                // no key of the stream is covered
  bool skips_dollar_ = false;        // keys that begin with '$' are not covered [MQTT-4.7.2-1]
};

}  // namespace sluice::latest
