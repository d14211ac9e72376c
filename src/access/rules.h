#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/access.h"
#include "base/result.h"

namespace sluice::access {

// One rule of a user, such as "allow publish sensors/%u/#":
//
//   allow|deny publish|subscribe FILTER                     MQTT topics; a level may be %u (the
//                                                           user) or %c (the client id)
//   allow|deny read|write|describe|create|alter|remove STREAM   a name, or a beginning with '*'
//   allow|deny administer
//   allow|deny all
struct Rule {
  bool allow = false;
  std::optional<Action> action{};  // none: all
  std::string pattern{};           // of topics or streams; empty where the action takes none
  friend bool operator==(const Rule&, const Rule&) = default;
};

// Errc::invalid says what is wrong with which word.
Result<Rule> parse_rule(std::string_view text);
std::string to_string(const Rule& rule);

// Whom the placeholders of a rule stand for.
struct Asker {
  std::string_view user;
  std::string_view client_id;
  std::string& scratch;  // room for filters whose placeholders are filled in
};

// All rules of a user, in any order: what no rule allows is denied, and a deny is stronger than any
// allow.
//
// A filter to subscribe to must be covered by one rule as a whole, and must have no topic in common
// with any deny. `describe` follows from every other right to the stream. The pattern "*" does not
// cover streams whose names begin with "__": those are the hub's own.
class Rules {
 public:
  Rules() = default;
  explicit Rules(std::vector<Rule> rules);

  [[nodiscard]] bool allow(const Asker& asker, Action action, std::string_view resource) const;
  [[nodiscard]] bool unrestricted() const { return unrestricted_; }
  [[nodiscard]] const std::vector<Rule>& all() const { return rules_; }

 private:
  [[nodiscard]] bool decide(const Asker& asker, Action action, std::string_view resource) const;
  [[nodiscard]] bool may_describe(const Asker& asker, std::string_view stream) const;
  [[nodiscard]] bool may_read_something() const;
  [[nodiscard]] bool has(const Rule& rule) const;

  std::vector<Rule> rules_;
  bool unrestricted_ = false;
};

}  // namespace sluice::access
