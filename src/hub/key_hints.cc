#include "hub/key_hints.h"

#include <memory>

namespace sluice::hub {

bool KeyHints::add(std::string_view filter) {
  if (is_all_) return false;
  if (is_named_) filter.remove_prefix(filter.find('/') + 1);  // "#" stays
  const std::size_t wildcard = filter.find_first_of("+#");
  if (wildcard == std::string_view::npos) {
    keys_.emplace(filter);
  } else {
    const std::string_view prefix = filter.substr(0, wildcard);
    is_all_ = prefix.empty();
    prefixes_.emplace(prefix);
    // "a/#" covers "a", too (MQTT 5, section 4.7.1.2).
    if (!is_all_ && filter[wildcard] == '#') keys_.emplace(prefix.substr(0, prefix.size() - 1));
  }
  is_all_ = is_all_ || keys_.size() + prefixes_.size() > size_max;
  return !is_all_;
}

stream::KeyHintRef KeyHints::finish() const {
  if (is_all_) return nullptr;
  return std::make_shared<const stream::KeyHint>(stream::KeyHint{
      .keys = {keys_.begin(), keys_.end()}, .prefixes = {prefixes_.begin(), prefixes_.end()}});
}

}  // namespace sluice::hub
