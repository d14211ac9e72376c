#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/nearest.h"
#include "base/units.h"
#include "cli/version.h"

namespace sluice::cli {
namespace {

const Flag help_flag{"help", 'h', "", "Say what the command does and which flags it takes"};

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known,
                         std::string_view dashes) {
  const std::string_view guess = nearest(word, known);
  return guess.empty() ? "" : fmt::format("; did you mean '{}{}'?", dashes, guess);
}

const Flag* find_flag(const Command& command, std::string_view name) {
  if (name == help_flag.name) return &help_flag;
  const auto found = std::ranges::find(command.flags, name, &Flag::name);
  return found == command.flags.end() ? nullptr : &*found;
}

const Flag* find_letter(const Command& command, char letter) {
  if (letter == help_flag.letter) return &help_flag;
  const auto found = std::ranges::find(command.flags, letter, &Flag::letter);
  return found == command.flags.end() ? nullptr : &*found;
}

Result<const Flag*> known_flag(const Command& command, std::string_view name) {
  if (const Flag* flag = find_flag(command, name)) return flag;
  std::vector<std::string_view> known{help_flag.name};
  for (const Flag& flag : command.flags) known.push_back(flag.name);
  return fail(Errc::invalid, "unknown flag '--{}' of 'sluice {}'{}", name, command.name,
              did_you_mean(name, known, "--"));
}

// The words after the command's name: flags with their values, and the rest.
class ArgumentParser {
 public:
  ArgumentParser(const Command& command, std::span<const std::string> words)
      : command_(command), words_(words) {}

  Result<Arguments> parse() {
    while (next_ < words_.size()) SLUICE_TRY(take(words_[next_++]));
    if (!out_.has(help_flag.name)) SLUICE_TRY(check_count());
    return std::move(out_);
  }

 private:
  Result<void> take(std::string_view word) {
    if (only_positional_ || word.size() < 2 || word[0] != '-') {
      out_.positional.emplace_back(word);
      return {};
    }
    if (word == "--") {
      only_positional_ = true;
      return {};
    }
    return word[1] == '-' ? take_long(word.substr(2)) : take_short(word.substr(1));
  }

  // --name, --name value, --name=value
  Result<void> take_long(std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    SLUICE_TRY_ASSIGN(const Flag* flag, known_flag(command_, name));
    if (equals == std::string_view::npos) return take_value(*flag);
    if (flag->argument.empty()) return fail(Errc::invalid, "flag '--{}' takes no value", name);
    out_.add(flag->name, std::string(word.substr(equals + 1)));
    return {};
  }

  // -n 5, -n5
  Result<void> take_short(std::string_view word) {
    const Flag* flag = find_letter(command_, word[0]);
    if (flag == nullptr)
      return fail(Errc::invalid, "unknown flag '-{}' of 'sluice {}'; see 'sluice {} --help'",
                  word[0], command_.name, command_.name);
    if (word.size() == 1) return take_value(*flag);
    if (flag->argument.empty())
      return fail(Errc::invalid, "flag '-{}' takes no value, but '{}' follows it", word[0],
                  word.substr(1));
    out_.add(flag->name, std::string(word.substr(1)));
    return {};
  }

  Result<void> take_value(const Flag& flag) {
    if (flag.argument.empty()) {
      out_.add(flag.name, "");
      return {};
    }
    if (next_ == words_.size())
      return fail(Errc::invalid, "flag '--{}' needs a value: {}", flag.name, flag.argument);
    out_.add(flag.name, words_[next_++]);
    return {};
  }

  Result<void> check_count() const {
    const std::size_t count = out_.positional.size();
    if (count < command_.arguments_min)
      return fail(Errc::invalid, "'sluice {}' needs {}", command_.name, command_.arguments);
    if (count > command_.arguments_max)
      return fail(Errc::invalid, "'sluice {}' does not know what to do with '{}'", command_.name,
                  out_.positional[command_.arguments_max]);
    return {};
  }

  const Command& command_;
  std::span<const std::string> words_;
  std::size_t next_ = 0;
  bool only_positional_ = false;
  Arguments out_;
};

std::string usage_line(const Command& command) {
  std::string line = fmt::format("sluice {}", command.name);
  if (!command.arguments.empty()) line += fmt::format(" {}", command.arguments);
  if (!command.flags.empty()) line += " [FLAGS]";
  return line;
}

std::string flag_form(const Flag& flag) {
  std::string form = flag.letter == 0 ? "" : fmt::format("-{}, ", flag.letter);
  form += fmt::format("--{}", flag.name);
  if (!flag.argument.empty()) form += fmt::format(" {}", flag.argument);
  return form;
}

// "stream" of "stream create".
std::string_view noun(const Command& command) {
  return command.name.substr(0, command.name.find(' '));
}

// Whether `word` is the first of a command of two words, such as "stream".
bool takes_verb(std::span<const Command> commands, std::string_view word) {
  return std::ranges::any_of(commands, [word](const Command& command) {
    return noun(command) == word && command.name != word;
  });
}

Result<Invocation> unknown_command(std::span<const Command> commands,
                                   std::span<const std::string> words) {
  std::vector<std::string_view> verbs;
  for (const Command& command : commands)
    if (noun(command) == words[0] && command.name != words[0])
      verbs.push_back(command.name.substr(words[0].size() + 1));
  if (!verbs.empty() && words.size() == 1)
    return fail(Errc::invalid, "'sluice {}' needs one of: {}", words[0], fmt::join(verbs, ", "));

  std::vector<std::string_view> names;
  for (const Command& command : commands) names.push_back(command.name);
  const std::string word = verbs.empty() ? words[0] : words[0] + ' ' + words[1];
  return fail(Errc::invalid, "unknown command '{}'{}", word, did_you_mean(word, names, "sluice "));
}

void complain(std::string_view text) { fmt::print(stderr, "sluice: {}\n", text); }

}  // namespace

std::span<const std::string> Arguments::all(std::string_view flag) const {
  const auto found = flags_.find(flag);
  if (found == flags_.end()) return {};
  return found->second;
}

std::optional<std::string_view> Arguments::last(std::string_view flag) const {
  const auto values = all(flag);
  if (values.empty()) return std::nullopt;
  return values.back();
}

std::string_view Arguments::last_or(std::string_view flag, std::string_view otherwise) const {
  return last(flag).value_or(otherwise);
}

Result<std::int64_t> Arguments::integer_or(std::string_view flag, std::int64_t otherwise,
                                           std::int64_t min, std::int64_t max) const {
  const auto text = last(flag);
  if (!text) return otherwise;
  const auto number = parse_integer(*text);
  if (!number || *number < min || *number > max)
    return fail(Errc::invalid, "--{}: '{}' is not a whole number from {} to {}", flag, *text, min,
                max);
  return *number;
}

Result<Assignments> Arguments::assignments(std::string_view flag) const {
  Assignments out;
  for (const std::string& text : all(flag)) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Errc::invalid, "--{}: '{}' is no NAME=VALUE", flag, text);
    out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

Result<Invocation> parse(std::span<const Command> commands, std::span<const std::string> words) {
  for (const Command& command : commands) {
    const bool two_words = command.name.find(' ') != std::string_view::npos;
    const std::size_t length = two_words ? 2 : 1;
    if (words.size() < length) continue;
    if (command.name != (two_words ? words[0] + ' ' + words[1] : words[0])) continue;
    auto arguments = ArgumentParser(command, words.subspan(length)).parse();
    if (!arguments) return std::unexpected(std::move(arguments.error()));
    return Invocation{&command, std::move(*arguments)};
  }
  return unknown_command(commands, words);
}

std::string help(std::span<const Command> commands, std::string_view only_noun) {
  std::string out = "sluice: a streaming data hub for the Internet of Things\n\nCommands:\n";
  for (const Command& command : commands)
    if (only_noun.empty() || noun(command) == only_noun)
      out += fmt::format("  {:<18} {}\n", command.name, command.summary);
  out +=
      "\n'sluice COMMAND --help' says more about one; 'sluice --version' prints the version.\n"
      "Exit status: 0 ok, 1 failed, 2 wrong usage.\n";
  return out;
}

std::string help(const Command& command) {
  std::string out = fmt::format("{}\n\n{}.\n", usage_line(command), command.summary);
  if (!command.details.empty()) out += fmt::format("\n{}\n", command.details);
  out += "\nFlags:\n";
  for (const Flag& flag : command.flags)
    out += fmt::format("  {:<24} {}\n", flag_form(flag), flag.text);
  out += fmt::format("  {:<24} {}\n", flag_form(help_flag), help_flag.text);
  return out;
}

std::string reference_markdown(std::span<const Command> commands) {
  std::string out =
      "# Command line\n\n"
      "Written by `sluice help --markdown`; a test checks that it is up to date.\n\n"
      "Exit status: 0 ok, 1 failed, 2 wrong usage. `sluice --help` lists the commands, `sluice "
      "COMMAND --help` shows "
      "what stands here, `sluice --version` prints the version.\n";
  for (const Command& command : commands) {
    out += fmt::format("\n## sluice {}\n\n    {}\n\n{}.\n", command.name, usage_line(command),
                       command.summary);
    if (!command.details.empty()) out += fmt::format("\n{}\n", command.details);
    if (command.flags.empty()) continue;
    out += "\n| flag | meaning |\n|---|---|\n";
    for (const Flag& flag : command.flags)
      out += fmt::format("| `{}` | {} |\n", flag_form(flag), flag.text);
  }
  return out;
}

int run(std::span<const Command> commands, int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    fmt::print(words.empty() ? stderr : stdout, "{}", help(commands));
    return words.empty() ? exit_usage : exit_ok;
  }
  if (words[0] == "--version") {
    fmt::print("sluice {}\n", version);
    return exit_ok;
  }

  if (words.size() == 2 && (words[1] == "--help" || words[1] == "-h") &&
      takes_verb(commands, words[0])) {
    fmt::print("{}", help(commands, words[0]));
    return exit_ok;
  }
  const auto called = parse(commands, words);
  if (!called) {
    complain(called.error().text);
    return exit_usage;
  }
  if (called->arguments.has(help_flag.name)) {
    fmt::print("{}", help(*called->command));
    return exit_ok;
  }
  const auto done = called->command->run(called->arguments);
  if (done) return exit_ok;
  complain(done.error().text);
  return done.error().code == Errc::invalid ? exit_usage : exit_failed;
}

}  // namespace sluice::cli
