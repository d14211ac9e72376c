#include "topic/topic.h"

#include "base/utf8.h"

namespace sluice::topic {
namespace {

constexpr std::string_view shared_prefix = "$share/";
constexpr std::string_view queue_prefix = "$queue/";
static_assert(queue_prefix.size() == shared_prefix.size());
constexpr std::string_view replay_prefix = "$stream/";
constexpr std::string_view delayed_prefix = "$delayed/";

std::string_view shown(std::string_view text) { return beginning_of(text, 80); }

Result<void> validate_text(std::string_view what, std::string_view text) {
  if (text.empty()) return fail(Errc::invalid, "{} is empty", what);
  if (text.size() > size_bytes_max) {
    return fail(Errc::too_large, "{} has {} bytes, more than {}", what, text.size(),
                size_bytes_max);
  }
  if (!is_valid_utf8(text)) return fail(Errc::malformed, "{} is not UTF-8", what);
  if (text.contains('\0')) return fail(Errc::malformed, "{} contains a NUL character", what);
  return {};
}

bool has_wildcard(std::string_view text) { return text.contains('+') || text.contains('#'); }

bool begins_with_wildcard(std::string_view filter) {
  return filter.starts_with('+') || filter.starts_with('#');
}

// The levels of a filter that can be looked at before they are taken.
class FilterLevels {
 public:
  explicit FilterLevels(std::string_view filter) : levels_(filter), level_(levels_.next()) {}

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] std::string_view level() const { return level_; }  // "" when done
  void advance() {
    done_ = levels_.done();
    level_ = done_ ? std::string_view() : levels_.next();
  }

 private:
  Levels levels_;
  std::string_view level_;
  bool done_ = false;
};

}  // namespace

Result<void> validate_topic_name(std::string_view topic) {
  SLUICE_TRY(validate_text("topic name", topic));
  if (has_wildcard(topic)) {
    return fail(Errc::invalid, "topic name \"{}\" contains a wildcard", shown(topic));
  }
  return {};
}

Result<void> validate_filter(std::string_view filter) {
  SLUICE_TRY(validate_text("topic filter", filter));
  Levels levels(filter);
  while (!levels.done()) {
    const std::string_view level = levels.next();
    if (level == "#" && !levels.done()) {
      return fail(Errc::invalid, "topic filter \"{}\" has '#' before its last level",
                  shown(filter));
    }
    if (level.size() > 1 && has_wildcard(level)) {
      return fail(Errc::invalid, "topic filter \"{}\" has a wildcard beside other characters",
                  shown(filter));
    }
  }
  return {};
}

bool is_shared(std::string_view text) { return text.starts_with(shared_prefix) || is_queue(text); }

bool is_queue(std::string_view text) { return text.starts_with(queue_prefix); }

Result<std::optional<SharedFilter>> parse_shared(std::string_view text) {
  if (!is_shared(text)) return std::nullopt;
  SLUICE_TRY(validate_text("topic filter", text));
  const std::string_view rest = text.substr(shared_prefix.size());
  const std::size_t slash = rest.find('/');
  if (slash == rest.npos) {
    return fail(Errc::invalid, "shared subscription \"{}\" has no topic filter", shown(text));
  }
  const SharedFilter shared{rest.substr(0, slash), rest.substr(slash + 1)};
  if (shared.group.empty() || has_wildcard(shared.group)) {
    return fail(Errc::invalid, "shared subscription \"{}\" has no valid group name", shown(text));
  }
  SLUICE_TRY(validate_filter(shared.filter));
  return shared;
}

bool is_replay(std::string_view text) { return text.starts_with(replay_prefix); }

Result<ReplayFilter> parse_replay(std::string_view text) {
  SLUICE_TRY(validate_text("topic filter", text));
  const std::string_view rest = text.substr(replay_prefix.size());
  const std::size_t slash = rest.find('/');
  const ReplayFilter replay{rest.substr(0, slash),
                            slash == rest.npos ? "#" : rest.substr(slash + 1)};
  if (replay.stream.empty() || has_wildcard(replay.stream)) {
    return fail(Errc::invalid, "subscription \"{}\" has no valid name of a stream", shown(text));
  }
  SLUICE_TRY(validate_filter(replay.filter));
  return replay;
}

bool is_delayed(std::string_view text) { return text.starts_with(delayed_prefix); }

Result<DelayedTopic> parse_delayed(std::string_view text) {
  constexpr std::size_t digits_max = 9;
  const std::string_view rest = text.substr(delayed_prefix.size());
  const std::string_view digits = rest.substr(0, rest.find('/'));
  std::uint32_t seconds = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9' || digits.size() > digits_max)
      return fail(Errc::invalid, "\"{}\" is no number of seconds", shown(digits));
    seconds = seconds * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  if (digits.empty() || digits.size() + 1 >= rest.size())
    return fail(Errc::invalid, "\"{}\" has no number of seconds, or no topic", shown(text));
  return DelayedTopic{seconds, rest.substr(digits.size() + 1)};
}

bool matches(std::string_view filter, std::string_view topic) {
  if (topic.starts_with('$') && begins_with_wildcard(filter)) return false;
  Levels filter_levels(filter);
  Levels topic_levels(topic);
  while (!filter_levels.done()) {
    const std::string_view wanted = filter_levels.next();
    if (wanted == "#") return true;
    if (topic_levels.done()) return false;
    const std::string_view level = topic_levels.next();
    if (wanted != "+" && wanted != level) return false;
  }
  return topic_levels.done();
}

bool covers(std::string_view wide, std::string_view narrow) {
  if (narrow.starts_with('$') && begins_with_wildcard(wide)) return false;
  if (narrow == "#") narrow = "+/#";  // the same topics: none has no level at all
  FilterLevels wanted(wide);
  FilterLevels given(narrow);
  while (!wanted.done()) {
    if (wanted.level() == "#") return true;
    // "a/#" covers "a", which has no level for `wanted`.
    if (given.done() || given.level() == "#") return false;
    if (wanted.level() != "+" && wanted.level() != given.level()) return false;
    wanted.advance();
    given.advance();
  }
  return given.done();
}

bool overlap(std::string_view one, std::string_view other) {
  if (one.starts_with('$') && begins_with_wildcard(other)) return false;
  if (other.starts_with('$') && begins_with_wildcard(one)) return false;
  FilterLevels a(one);
  FilterLevels b(other);
  while (a.level() != "#" && b.level() != "#") {
    if (a.done() || b.done()) return a.done() && b.done();
    if (a.level() != "+" && b.level() != "+" && a.level() != b.level()) return false;
    a.advance();
    b.advance();
  }
  return true;
}

}  // namespace sluice::topic
