#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "stream/stream.h"

namespace sluice::hub {

// What some filters ask of the keys of one stream: which keys can match at all, by what stands
// before their first wildcard. Filters that don't cover the stream must not be added.
class KeyHints {
 public:
  // More keys and prefixes than this are not worth looking for one by one.
  static constexpr std::size_t size_max = 64;

  // `topic_prefix`: what precedes the keys in the stream's topics, as Router::prefix_of has it.
  explicit KeyHints(std::string_view topic_prefix) : is_named_(!topic_prefix.empty()) {}

  // False: every key may match, or there is too much to ask for; further filters change nothing.
  bool add(std::string_view filter);
  // Null when every key may match.
  [[nodiscard]] stream::KeyHintRef finish() const;

 private:
  const bool is_named_;  // the first level of a topic names the stream
  bool is_all_ = false;
  std::set<std::string, std::less<>> keys_;
  std::set<std::string, std::less<>> prefixes_;
};

}  // namespace sluice::hub
