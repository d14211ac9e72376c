#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sessload {

extern const char* const help;

// What the command line should not say; what() tells why.
struct Usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The words of the command line; `help` says what they mean.
struct Options {
  std::string scenario;
  std::string prefix = "s";
  std::uint32_t port = 1883;
  std::uint32_t sessions = 1000;
  std::uint32_t first = 0;
  std::uint32_t each = 100;
  std::uint32_t from = 0;
  std::uint32_t payload = 100;
  std::uint32_t run = 0;
  std::uint32_t at_once = 15000;
  std::uint32_t handshakes = 100;
  std::uint32_t publishers = 100;
  std::uint32_t window = 64;
  std::uint32_t rate = 0;
  std::uint32_t receive_maximum = 65535;
  std::uint32_t stall = 60;

  [[nodiscard]] bool makes() const { return scenario == "make"; }
  [[nodiscard]] bool publishes() const { return scenario == "publish" || is_slow(); }
  [[nodiscard]] bool is_slow() const { return scenario == "slow"; }
  [[nodiscard]] std::uint64_t messages() const { return std::uint64_t{sessions} * each; }
};

// Throws Usage.
Options options_of(const std::vector<std::string_view>& words);

}  // namespace sessload
