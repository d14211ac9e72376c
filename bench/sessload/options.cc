#include "sessload/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace sessload {

const char* const help =
    R"(sessload - stored MQTT sessions: makes them, publishes for them, brings them back

usage: sessload SCENARIO [options]

SCENARIO
  make      each session is begun, subscribes and leaves
  publish   messages for all sessions, in turn, at QoS 1
  visit     each session comes back, takes its messages, acknowledges them and leaves
  slow      all sessions come back and stay; while messages are published for them, half of them
            acknowledge three a second, the others all they hold every ten seconds; then they take
            the rest at once

Session n is the client PREFIX-n of MQTT 5, whose only filter is PREFIX/n/# at QoS 1. Messages for it
have the topic PREFIX/n and mqload's payload (run and n, a sequence number, filler), so that those of
`mqload pubonly --prefix PREFIX --run RUN` are understood, too. Each is to come once and in order.

options (default)
  --port N (1883)               of the broker, at 127.0.0.1
  --prefix TEXT (s)             of client ids and topics
  --sessions N (1000)           how many
  --first N (0)                 number of the first one
  --each N (100)                messages for each session
  --from N (0)                  sequence number of the first of them
  --payload BYTES (100)         17 or more
  --run N (0)                   0 to 4095, in every payload
  --at-once N (15000)           make, visit: sockets that are open at a time
  --handshakes N (100)          and of these under way to their CONNACK or SUBACK
  --publishers N (100)          publish, slow: connections, each with sessions of its own
  --window N (64)               of each, messages not yet acknowledged
  --rate N (0)                  messages a second of all together; 0: as many as are taken
  --receive-maximum N (65535)   of each session
  --stall S (60)                nothing received for so long: what is outstanding is missing

A line of JSON on stdout. Exit status 0: good; 1: refused, closed or not understood; 2: usage;
3: messages are missing or came twice.
)";

namespace {

constexpr std::uint32_t numbers = 1 << 20;  // of sessions that mqload's payload has room for

struct NumberOption {
  std::string_view name;
  std::uint32_t Options::* value;
  std::uint32_t min, max;
};

constexpr std::array number_options{
    NumberOption{"--port", &Options::port, 1, 65535},
    NumberOption{"--sessions", &Options::sessions, 1, numbers},
    NumberOption{"--first", &Options::first, 0, numbers - 1},
    NumberOption{"--each", &Options::each, 0, 1'000'000'000},
    NumberOption{"--from", &Options::from, 0, 1'000'000'000},
    NumberOption{"--payload", &Options::payload, 17, 1 << 17},
    NumberOption{"--run", &Options::run, 0, 4095},
    NumberOption{"--at-once", &Options::at_once, 1, 65535},
    NumberOption{"--handshakes", &Options::handshakes, 1, 65535},
    NumberOption{"--publishers", &Options::publishers, 1, 10'000},
    NumberOption{"--window", &Options::window, 1, 65535},
    NumberOption{"--rate", &Options::rate, 0, 1'000'000'000},
    NumberOption{"--receive-maximum", &Options::receive_maximum, 1, 65535},
    NumberOption{"--stall", &Options::stall, 1, 86'400},
};

std::uint32_t number_in(const NumberOption& option, std::string_view text) {
  std::uint32_t value = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [read, error] = std::from_chars(begin, end, value);
  if (error != std::errc{} || read != end || value < option.min || value > option.max)
    throw Usage(std::string(option.name) + " takes a number from " + std::to_string(option.min) +
                " to " + std::to_string(option.max));
  return value;
}

}  // namespace

Options options_of(const std::vector<std::string_view>& words) {
  constexpr std::array<std::string_view, 4> scenarios{"make", "publish", "visit", "slow"};
  if (words.empty()) throw Usage("no scenario");
  if (std::ranges::find(scenarios, words[0]) == scenarios.end())
    throw Usage("no scenario '" + std::string(words[0]) + "'");
  Options options;
  options.scenario = words[0];
  for (std::size_t i = 1; i < words.size(); i += 2) {
    const auto* const option = std::ranges::find(number_options, words[i], &NumberOption::name);
    const bool is_number = option != number_options.end();
    if (!is_number && words[i] != "--prefix")
      throw Usage("no option '" + std::string(words[i]) + "'");
    if (i + 1 == words.size()) throw Usage(std::string(words[i]) + " needs a value");
    if (is_number)
      options.*option->value = number_in(*option, words[i + 1]);
    else
      options.prefix = words[i + 1];
  }
  if (options.first + options.sessions > numbers)
    throw Usage("--first and --sessions: the last number is " + std::to_string(numbers - 1));
  // A publisher without a session would have nothing to do.
  options.publishers = std::min(options.publishers, options.sessions);
  if (options.is_slow()) options.at_once = options.sessions;
  return options;
}

}  // namespace sessload
