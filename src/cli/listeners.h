#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/command.h"

namespace sluice::cli {

// Name of a listener ("mqtt", "kafka", "admin") -> the address it is bound to.
using Listeners = std::map<std::string, std::string, std::less<>>;

// listeners.json in the data directory of a running hub.
std::string listeners_path(std::string_view data_dir);
std::string to_json(const Listeners& listeners);
Result<Listeners> read_listeners(std::string_view data_dir);

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
std::string to_string(const HostPort& address);
// "localhost:1883", "[::1]:1883"
Result<HostPort> parse_host_port(std::string_view text);

// The flag by which a client command names the address of a face: --mqtt, --kafka or --admin.
Flag address_flag(std::string_view face);
extern const Flag data_flag;

// Where the hub listens for `face` (with --tls-ca: for TLS): the flag of that name; else
// listeners.json of --data; else that of ./data if there is one; else 127.0.0.1 with
// `default_port`. Then connects once and closes, so that a hub which isn't there gives one clear
// error that says what was tried and how to start one.
Result<HostPort> find_hub(const Arguments& arguments, std::string_view face,
                          std::uint16_t default_port);

}  // namespace sluice::cli
