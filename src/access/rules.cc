#include "access/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/nearest.h"
#include "topic/topic.h"

namespace sluice::access {
namespace {

constexpr std::string_view user_placeholder = "%u";
constexpr std::string_view client_placeholder = "%c";
constexpr std::string_view all_word = "all";

constexpr std::array actions_of_rules{Action::publish, Action::subscribe, Action::read,
                                      Action::write,   Action::describe,  Action::create,
                                      Action::alter,   Action::remove,    Action::administer};

bool is_topic_action(Action action) {
  return action == Action::publish || action == Action::subscribe;
}

// Splits the first word off.
std::string_view take_word(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  while (text.starts_with(' ')) text.remove_prefix(1);
  return word;
}

std::string hint(std::string_view word) {
  std::vector<std::string_view> words{all_word};
  for (const Action action : actions_of_rules) words.push_back(to_string(action));
  const auto near = nearest(word, words);
  if (!near.empty()) return fmt::format("did you mean \"{}\"?", near);
  return fmt::format("there are {}", fmt::join(words, ", "));
}

Result<std::optional<Action>> parse_action(std::string_view word) {
  if (word == all_word) return std::nullopt;
  const auto* const found =
      std::ranges::find(actions_of_rules, word, [](Action action) { return to_string(action); });
  if (found == actions_of_rules.end())
    return fail(Errc::invalid, "\"{}\" is nothing to allow or deny; {}", word, hint(word));
  return *found;
}

Result<void> check_topic_pattern(std::string_view filter) {
  SLUICE_TRY(topic::validate_filter(filter));
  if (topic::is_shared(filter))
    return fail(
        Errc::invalid,
        "a rule names the filter behind \"$share/GROUP/\" or \"$queue/NAME/\", and holds for "
        "all of them");
  if (topic::is_replay(filter))
    return fail(Errc::invalid,
                "a rule names topics, and holds for replays of them by \"$stream/\", too");
  topic::Levels levels(filter);
  while (!levels.done()) {
    const auto level = levels.next();
    for (const auto placeholder : {user_placeholder, client_placeholder}) {
      if (level != placeholder && level.contains(placeholder))
        return fail(Errc::invalid, "{} must be a level of its own, not a part of \"{}\"",
                    placeholder, level);
    }
  }
  return {};
}

bool is_stream_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
}

Result<void> check_stream_pattern(std::string_view pattern) {
  const auto name = pattern.ends_with('*') ? pattern.substr(0, pattern.size() - 1) : pattern;
  if (!std::ranges::all_of(name, is_stream_character))
    return fail(Errc::invalid,
                "\"{}\" is no stream: letters, digits, '.', '_' and '-', and '*' at the end for "
                "all that begin so",
                pattern);
  return {};
}

Result<void> check_pattern(const Rule& rule) {
  if (!rule.action || *rule.action == Action::administer) {
    if (rule.pattern.empty()) return {};
    return fail(Errc::invalid, "\"{}\" says too much: \"{}\" stands alone", rule.pattern,
                rule.action ? to_string(*rule.action) : all_word);
  }
  const bool topics = is_topic_action(*rule.action);
  if (rule.pattern.empty())
    return fail(Errc::invalid, "{} what? A {} is missing", to_string(*rule.action),
                topics ? "topic filter" : "stream");
  return topics ? check_topic_pattern(rule.pattern) : check_stream_pattern(rule.pattern);
}

// A value that would be more than one plain level could reach beyond what the rule means.
bool fits_level(std::string_view value) {
  return !value.empty() && value.find_first_of("/+#") == value.npos && !value.starts_with('$');
}

// The filter of a rule for this asker, or none when a placeholder has no usable value: then an
// allow gives nothing, and a deny takes the whole level.
std::optional<std::string_view> filter_for(const Rule& rule, const Asker& asker) {
  if (!rule.pattern.contains('%')) return rule.pattern;
  std::string& out = asker.scratch;
  out.clear();
  topic::Levels levels(rule.pattern);
  bool first = true;
  while (!levels.done()) {
    std::string_view level = levels.next();
    if (level == user_placeholder || level == client_placeholder) {
      level = level == user_placeholder ? asker.user : asker.client_id;
      if (!fits_level(level)) {
        if (rule.allow) return std::nullopt;
        level = "+";
      }
    }
    if (!std::exchange(first, false)) out += '/';
    out += level;
  }
  return out;
}

bool topic_rule_holds(const Rule& rule, const Asker& asker, Action action,
                      std::string_view resource) {
  const auto filter = filter_for(rule, asker);
  if (!filter) return false;
  if (action == Action::publish) return topic::matches(*filter, resource);
  return rule.allow ? topic::covers(*filter, resource) : topic::overlap(*filter, resource);
}

bool stream_rule_holds(const Rule& rule, std::string_view stream) {
  const std::string_view pattern = rule.pattern;
  if (!pattern.ends_with('*')) return stream == pattern;
  if (rule.allow && stream.starts_with("__") && !pattern.starts_with("__")) return false;
  return stream.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool holds(const Rule& rule, const Asker& asker, Action action, std::string_view resource) {
  if (!rule.action) return true;
  if (*rule.action != action) return false;
  if (action == Action::administer) return true;
  return is_topic_action(action) ? topic_rule_holds(rule, asker, action, resource)
                                 : stream_rule_holds(rule, resource);
}

// What a rule is asked about: the filter of a shared subscription stands behind its group.
std::string_view filter_of(std::string_view subscription) {
  const auto shared = topic::parse_shared(subscription);
  return shared && *shared ? (*shared)->filter : subscription;
}

}  // namespace

Result<Rule> parse_rule(std::string_view text) {
  const auto effect = take_word(text);
  if (effect != "allow" && effect != "deny")
    return fail(Errc::invalid, "a rule begins with allow or deny, not with \"{}\"", effect);
  SLUICE_TRY_ASSIGN(const auto action, parse_action(take_word(text)));
  Rule rule{.allow = effect == "allow", .action = action, .pattern = std::string(text)};
  SLUICE_TRY(check_pattern(rule));
  return rule;
}

std::string to_string(const Rule& rule) {
  return fmt::format("{} {}{}{}", rule.allow ? "allow" : "deny",
                     rule.action ? to_string(*rule.action) : all_word,
                     rule.pattern.empty() ? "" : " ", rule.pattern);
}

Rules::Rules(std::vector<Rule> rules) : rules_(std::move(rules)) {
  unrestricted_ = has(Rule{.allow = true}) && std::ranges::all_of(rules_, &Rule::allow);
}

bool Rules::allow(const Asker& asker, Action action, std::string_view resource) const {
  if (unrestricted_) return true;
  switch (action) {
    case Action::describe:
      return may_describe(asker, resource);
    case Action::use_group:
      return may_read_something();
    case Action::subscribe:
      return decide(asker, action, filter_of(resource));
    default:
      return decide(asker, action, resource);
  }
}

bool Rules::decide(const Asker& asker, Action action, std::string_view resource) const {
  bool allowed = false;
  for (const Rule& rule : rules_) {
    if ((rule.allow && allowed) || !holds(rule, asker, action, resource)) continue;
    if (!rule.allow) return false;
    allowed = true;
  }
  return allowed;
}

bool Rules::may_describe(const Asker& asker, std::string_view stream) const {
  constexpr std::array rights{Action::describe, Action::read,  Action::write,
                              Action::create,   Action::alter, Action::remove};
  const bool denied = std::ranges::any_of(rules_, [&](const Rule& rule) {
    return !rule.allow && holds(rule, asker, Action::describe, stream);
  });
  return !denied &&
         std::ranges::any_of(rights, [&](Action right) { return decide(asker, right, stream); });
}

bool Rules::may_read_something() const {
  const bool reads = std::ranges::any_of(rules_, [](const Rule& rule) {
    return rule.allow && (!rule.action || *rule.action == Action::read);
  });
  return reads && !has(Rule{.allow = false});
}

bool Rules::has(const Rule& rule) const { return std::ranges::find(rules_, rule) != rules_.end(); }

}  // namespace sluice::access
