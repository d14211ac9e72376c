#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "access/user_table.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/listeners.h"
#include "cli/new_password.h"
#include "cli/output.h"
#include "cli/users_file.h"

namespace sluice::cli {
namespace {

constexpr std::size_t salt_size = 16;
constexpr std::string_view default_data_dir = "data";  // as server.data_dir

std::string path_of(const Arguments& arguments) {
  if (const auto file = arguments.last("file")) return std::string(*file);
  return (std::filesystem::path(arguments.last_or("data", default_data_dir)) / "users.toml")
      .string();
}

// Asked before a password is typed for nothing.
Result<std::uint32_t> iterations_of(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const auto count,
                    arguments.integer_or("iterations", access::iterations_default,
                                         access::iterations_min, access::iterations_max));
  return static_cast<std::uint32_t>(count);
}

std::vector<access::Credential> credentials_of(std::string_view password,
                                               std::uint32_t iterations) {
  std::vector<access::Credential> out;
  for (const auto digest : {access::Digest::sha256, access::Digest::sha512})
    out.push_back(
        access::make_credential(digest, password, access::random_bytes(salt_size), iterations));
  return out;
}

Result<void> add_rules(const Arguments& arguments, std::string_view effect,
                       std::vector<access::Rule>& out) {
  for (const std::string& text : arguments.all(effect)) {
    auto rule = access::parse_rule(fmt::format("{} {}", effect, text));
    if (!rule) return fail(Errc::invalid, "--{} '{}': {}", effect, text, rule.error().text);
    out.push_back(std::move(*rule));
  }
  return {};
}

Result<access::Rules> rules_of(const Arguments& arguments) {
  std::vector<access::Rule> rules;
  SLUICE_TRY(add_rules(arguments, "allow", rules));
  SLUICE_TRY(add_rules(arguments, "deny", rules));
  const bool allows = std::ranges::any_of(rules, &access::Rule::allow);
  if (!allows) rules.insert(rules.begin(), access::Rule{.allow = true});
  return access::Rules(std::move(rules));
}

void print_generated(const NewPassword& password) {
  if (password.generated) print_line(fmt::format("password: {}", password.text));
}

Result<void> add(const Arguments& arguments) {
  const std::string& name = arguments.positional[0];
  const std::string path = path_of(arguments);
  SLUICE_TRY(access::validate_user_name(name));
  SLUICE_TRY_ASSIGN(access::Rules rules, rules_of(arguments));
  SLUICE_TRY_ASSIGN(const auto iterations, iterations_of(arguments));
  SLUICE_TRY_ASSIGN(const auto users, read_users(path));
  if (users.find(name) != nullptr)
    return fail(Errc::exists, "{}: there is a user '{}' already", path, name);

  access::User user{.name = name, .credentials = {}, .rules = std::move(rules)};
  NewPassword password;
  if (name != access::anonymous_name && !arguments.has("no-password")) {
    SLUICE_TRY_ASSIGN(password, new_password(arguments, name));
    user.credentials = credentials_of(password.text, iterations);
  }
  const auto change = [&](access::UserTable& table) -> Result<void> {
    if (table.find(name) != nullptr)
      return fail(Errc::exists, "there is a user '{}' already", name);
    table.put(user);
    return {};
  };
  SLUICE_TRY(edit_users(path, change));
  print_line(fmt::format("added user '{}' to {}{}", name, path,
                         user.rules.unrestricted() ? "; may do everything (see --allow)" : ""));
  print_generated(password);
  return {};
}

Result<access::User> find_user(const access::UserTable& users, const std::string& path,
                               const std::string& name) {
  const access::User* const user = users.find(name);
  if (user == nullptr) return fail(Errc::not_found, "{}: there is no user '{}'", path, name);
  return *user;
}

Result<void> change_password(const Arguments& arguments) {
  const std::string& name = arguments.positional[0];
  const std::string path = path_of(arguments);
  if (name == access::anonymous_name)
    return fail(Errc::invalid, "'{}' stands for those who log in without a password", name);
  SLUICE_TRY_ASSIGN(const auto users, read_users(path));
  SLUICE_TRY(find_user(users, path, name));
  SLUICE_TRY_ASSIGN(const auto iterations, iterations_of(arguments));
  SLUICE_TRY_ASSIGN(const NewPassword password, new_password(arguments, name));
  const auto credentials = credentials_of(password.text, iterations);
  const auto change = [&](access::UserTable& table) -> Result<void> {
    SLUICE_TRY_ASSIGN(access::User user, find_user(table, path, name));
    user.credentials = credentials;
    table.put(std::move(user));
    return {};
  };
  SLUICE_TRY(edit_users(path, change));
  print_line(fmt::format("changed the password of user '{}' in {}", name, path));
  print_generated(password);
  return {};
}

Result<void> remove(const Arguments& arguments) {
  const std::string& name = arguments.positional[0];
  const std::string path = path_of(arguments);
  bool last = false;
  const auto change = [&](access::UserTable& table) -> Result<void> {
    SLUICE_TRY(find_user(table, path, name));
    table.remove(name);
    last = table.empty();
    return {};
  };
  SLUICE_TRY(edit_users(path, change));
  print_line(fmt::format("removed user '{}' from {}{}", name, path,
                         last ? "; nobody is left, and nobody can log in" : ""));
  return {};
}

std::string_view password_kind(const access::User& user) {
  return user.credentials.empty() ? "none" : "set";
}

Result<void> list(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Output output, output_of(arguments));
  SLUICE_TRY_ASSIGN(const auto users, read_users(path_of(arguments)));
  std::vector<std::vector<std::string>> rows{{"USER", "PASSWORD", "RULES"}};
  for (const auto& [name, user] : users.all()) {
    std::vector<std::string> rules;
    for (const auto& rule : user.rules.all()) rules.push_back(to_string(rule));
    if (output == Output::json)
      print_line(JsonObject()
                     .add("name", name)
                     .add("password", password_kind(user))
                     .add_raw("rules", json_array(rules, json_string))
                     .str());
    rows.push_back(
        {name, std::string(password_kind(user)), fmt::format("{}", fmt::join(rules, "; "))});
  }
  if (output == Output::table) fmt::print("{}", format_table(rows));
  return {};
}

}  // namespace

std::vector<Command> user_commands() {
  const Flag file_flag{"file", 'f', "FILE",
                       "The file of users (`access.users_file`); without it users.toml in --data"};
  const Flag data_dir_flag{"data", 'd', "DIR", "Data directory of the hub; `data` unless given"};
  const Flag iterations_flag{
      "iterations", 0, "N",
      "What a check of the password costs; 4096 to 1000000, 16384 unless given"};
  const std::vector<Flag> where{file_flag, data_dir_flag};

  std::vector<Flag> passwd = where;
  passwd.insert(passwd.end(), new_password_flags.begin(), new_password_flags.end());
  passwd.push_back(iterations_flag);
  std::vector<Flag> addition = passwd;
  addition.push_back({"allow", 0, "RULE",
                      "What the user may do, such as 'publish sensors/#'; may be repeated. Without "
                      "it: everything"});
  addition.push_back({"deny", 0, "RULE", "What the user may not do; stronger than any --allow"});
  addition.push_back({"no-password", 0, "", "The user logs in by a client certificate only"});
  std::vector<Flag> listing = where;
  listing.push_back(output_flag);
  return {
      {"user add", "NAME", 1, 1, "Add a user",
       "Edits the file of users; a running hub notices within seconds. Rules are explained in "
       "docs/reference/access.md. The user `anonymous` has no password and stands for clients "
       "without a user.",
       addition, add},
      {"user list", "", 0, 0, "List the users and their rules", "", listing, list},
      {"user passwd", "NAME", 1, 1, "Change a user's password", "", passwd, change_password},
      {"user remove", "NAME", 1, 1, "Remove a user", "", where, remove},
  };
}

}  // namespace sluice::cli
