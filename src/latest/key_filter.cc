#include "latest/key_filter.h"

#include "topic/topic.h"

namespace sluice::latest {
namespace {

constexpr std::string_view any = "+";
constexpr char beyond_dollar = '$' + 1;

// Goes through the levels of an ordered key, which are divided by byte 0.
class KeyLevels {
 public:
  explicit KeyLevels(std::string_view key) : key_(key) {}

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] std::size_t at() const { return at_; }  // where the next level begins
  std::string_view next() {
    const std::size_t end = key_.find('\0', at_);
    const std::string_view level = key_.substr(at_, end - at_);
    done_ = end == std::string_view::npos;
    at_ = done_ ? key_.size() : end + 1;
    return level;
  }

 private:
  std::string_view key_;
  std::size_t at_ = 0;
  bool done_ = false;
};

}  // namespace

KeyFilter::KeyFilter(std::string_view prefix, std::string_view filter) {
  topic::Levels levels(filter);
  skips_dollar_ = prefix.empty() && (filter.starts_with('+') || filter.starts_with('#'));
  while (!levels.done()) {
    const std::string_view level = levels.next();
    if (level == "#")
      deeper_ = true;
    else
      levels_.emplace_back(level);
  }
  if (prefix.empty()) return;
  // The stream's name is one level, and the key the levels behind it: at least one.
  const std::string_view name = prefix.substr(0, prefix.size() - 1);
  if (levels_.empty()) return;  // "#"
  none_ = (levels_.front() != any && levels_.front() != name) || (levels_.size() == 1 && !deeper_);
  levels_.erase(levels_.begin());
}

std::optional<std::string> KeyFilter::seek(std::string_view key) const {
  if (none_) return std::nullopt;
  KeyLevels levels(key);
  if (skips_dollar_ && key.starts_with('$')) return complete({beyond_dollar}, 1);
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    // A parent of what is wanted comes right before its children.
    if (levels.done()) return complete(std::string(key), i);
    const std::size_t begin = levels.at();
    const std::string_view level = levels.next();
    if (levels_[i] == any || levels_[i] == level) continue;
    if (level > levels_[i]) return advance(key, i);
    return complete(std::string(key.substr(0, begin)) + levels_[i], i + 1);
  }
  if (deeper_ || levels.done()) return std::string(key);
  return advance(key, levels_.size());
}

// The first key that begins with `begin`, which stands for the levels before `level`.
std::string KeyFilter::complete(std::string begin, std::size_t level) const {
  for (; level < levels_.size(); ++level) {
    begin += '\0';
    if (levels_[level] != any) begin += levels_[level];
  }
  return begin;
}

// The first key beyond all that have the same first `level` levels as `key`: where the last of them
// that is free takes its next value.
std::optional<std::string> KeyFilter::advance(std::string_view key, std::size_t level) const {
  KeyLevels levels(key);
  std::size_t free = levels_.size();
  std::size_t free_end = 0;
  for (std::size_t i = 0; i < level; ++i) {
    const std::size_t end = levels.at() + levels.next().size();
    if (levels_[i] != any) continue;
    free = i;
    free_end = end;
  }
  if (free == levels_.size()) return std::nullopt;
  return complete(std::string(key.substr(0, free_end)) + '\1', free + 1);
}

std::string KeyFilter::end() const {
  std::string begin;
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    if (levels_[i] == any) return i == 0 ? std::string() : begin + '\1';
    if (i > 0) begin += '\0';
    begin += levels_[i];
  }
  if (!deeper_) return begin + '\0';
  return levels_.empty() ? std::string() : begin + '\1';
}

}  // namespace sluice::latest
