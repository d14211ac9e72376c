// The one unit of access/ that knows toml++.

#include "access/user_table.h"

#include <toml++/toml.h>

#include <algorithm>

#include "base/utf8.h"

namespace sluice::access {
namespace {

constexpr std::size_t salt_size = 16;
constexpr std::size_t name_size_max = 128;

constexpr std::string_view head =
    "# Users of sluice, written by `sluice user`; comments are lost when it writes again.\n"
    "# Rules: docs/reference/access.md\n";

// Debian's library throws.
Result<toml::table> parse_toml(std::string_view text, const std::string& path) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return fail(Errc::malformed, "{}:{}: {}", path, error.source().begin.line, error.description());
  }
}

// Reads one user; errors name the place.
class UserReader {
 public:
  UserReader(const std::string& path, std::string_view name) : path_(path) { user_.name = name; }

  Result<User> read(const toml::node& node) {
    const toml::table* const table = node.as_table();
    if (table == nullptr)
      return wrong(node, "is no table; write [users.\"{}\"] on a line of its own", user_.name);
    if (auto valid = validate_user_name(user_.name); !valid)
      return wrong(node, "{}", valid.error().text);
    for (const auto& [key, value] : *table) SLUICE_TRY(read_key(key.str(), value));
    user_.rules = Rules(std::move(rules_));
    return std::move(user_);
  }

 private:
  template <class... Args>
  std::unexpected<Error> wrong(const toml::node& at, fmt::format_string<Args...> format,
                               Args&&... args) const {
    return fail(Errc::malformed, "{}:{}: user \"{}\": {}", path_, at.source().begin.line,
                user_.name, fmt::format(format, std::forward<Args>(args)...));
  }

  Result<void> read_key(std::string_view key, const toml::node& value) {
    if (key != "password" && key != "rules")
      return wrong(value, "unknown key '{}'; there are 'password' and 'rules'", key);
    const toml::array* const texts = value.as_array();
    if (texts == nullptr) return wrong(value, "'{}' is no list of strings", key);
    for (const toml::node& item : *texts) {
      const auto* const text = item.as_string();
      if (text == nullptr) return wrong(item, "'{}' holds something else than strings", key);
      SLUICE_TRY(key == "rules" ? add_rule(item, text->get()) : add_password(item, text->get()));
    }
    return {};
  }

  Result<void> add_rule(const toml::node& at, std::string_view text) {
    auto rule = parse_rule(text);
    if (!rule) return wrong(at, "rule \"{}\": {}", text, rule.error().text);
    rules_.push_back(std::move(*rule));
    return {};
  }

  Result<void> add_password(const toml::node& at, std::string_view text) {
    if (user_.name == anonymous_name)
      return wrong(at, "has a password, but stands for those who log in without");
    auto credential = parse_credential(text);
    if (!credential) return wrong(at, "{}", credential.error().text);
    if (user_.credential(credential->digest) != nullptr)
      return wrong(at, "has two passwords of {}", mechanism_name(credential->digest));
    user_.credentials.push_back(std::move(*credential));
    return {};
  }

  const std::string& path_;
  User user_;
  std::vector<Rule> rules_;
};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string format_list(std::string_view key, const std::vector<std::string>& items) {
  if (items.empty()) return fmt::format("{} = []\n", key);
  std::string out = fmt::format("{} = [\n", key);
  for (const auto& item : items) out += fmt::format("  {},\n", quoted(item));
  return out + "]\n";
}

}  // namespace

const Credential* User::credential(Digest digest) const {
  const auto found = std::ranges::find(credentials, digest, &Credential::digest);
  return found == credentials.end() ? nullptr : &*found;
}

Result<void> validate_user_name(std::string_view name) {
  constexpr std::string_view forbidden = "/+#%";
  if (name.empty() || name.size() > name_size_max)
    return fail(Errc::invalid, "a user's name has 1 to {} bytes", name_size_max);
  if (!is_valid_utf8(name)) return fail(Errc::invalid, "a user's name is UTF-8");
  const bool control = std::ranges::any_of(
      name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (control || name.find_first_of(forbidden) != name.npos || name.starts_with('$'))
    return fail(Errc::invalid,
                "a user's name has no control characters and none of {}, and no $ in front",
                forbidden);
  return {};
}

Result<UserTable> UserTable::parse(std::string_view text, const std::string& path) {
  SLUICE_TRY_ASSIGN(const toml::table file, parse_toml(text, path));
  UserTable out;
  for (const auto& [key, node] : file) {
    const toml::table* const users = node.as_table();
    if (key.str() != "users" || users == nullptr)
      return fail(Errc::malformed, "{}:{}: '{}' is no user: they look like [users.NAME]", path,
                  node.source().begin.line, key.str());
    for (const auto& [name, user] : *users) {
      SLUICE_TRY_ASSIGN(User read, UserReader(path, name.str()).read(user));
      out.users_.emplace(read.name, std::move(read));
    }
  }
  out.renew_secret();
  return out;
}

std::string UserTable::format() const {
  std::string out(head);
  for (const auto& [name, user] : users_) {
    std::vector<std::string> passwords;
    passwords.reserve(user.credentials.size());
    for (const auto& credential : user.credentials)
      passwords.push_back(format_credential(credential));
    std::vector<std::string> rules;
    for (const auto& rule : user.rules.all()) rules.push_back(to_string(rule));
    out += fmt::format("\n[users.{}]\n", quoted(name));
    if (!passwords.empty()) out += format_list("password", passwords);
    out += format_list("rules", rules);
  }
  return out;
}

const User* UserTable::find(std::string_view name) const {
  const auto found = users_.find(name);
  return found == users_.end() ? nullptr : &found->second;
}

void UserTable::put(User user) {
  const std::string name = user.name;
  users_.insert_or_assign(name, std::move(user));
  renew_secret();
}

bool UserTable::remove(std::string_view name) {
  const auto found = users_.find(name);
  if (found == users_.end()) return false;
  users_.erase(found);
  renew_secret();
  return true;
}

void UserTable::renew_secret() {
  std::string all = "decoy";
  std::map<std::uint32_t, std::size_t> iterations;
  for (const auto& [name, user] : users_) {
    for (const auto& credential : user.credentials) {
      all += credential.stored_key;
      ++iterations[credential.iterations];
    }
  }
  secret_ = hash(Digest::sha256, all);
  if (!iterations.empty())
    usual_iterations_ = std::ranges::max_element(iterations, {}, [](const auto& entry) {
                          return entry.second;
                        })->first;
}

Credential UserTable::decoy(std::string_view name, Digest digest) const {
  const std::string bytes = hmac(Digest::sha256, secret_, name);
  return {.digest = digest,
          .iterations = usual_iterations_,
          .salt = bytes.substr(0, salt_size),
          .stored_key = random_bytes(hash(digest, {}).size()),
          .server_key = random_bytes(hash(digest, {}).size())};
}

}  // namespace sluice::access
