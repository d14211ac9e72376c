#include "cli/listeners.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "base/units.h"
#include "cli/json.h"

namespace sluice::cli {
namespace {

constexpr std::string_view default_data_dir = "data";

struct Found {
  HostPort address;
  std::string how;  // for error texts
};

Result<Found> look_up(const Arguments& arguments, std::string_view face,
                      std::uint16_t default_port) {
  if (const auto given = arguments.last(face)) {
    auto address = parse_host_port(*given);
    if (!address) return std::unexpected(address.error().context(fmt::format("--{}", face)));
    return Found{*address, fmt::format("given by --{}", face)};
  }
  const std::string_view data_dir = arguments.last_or("data", default_data_dir);
  const std::string path = listeners_path(data_dir);
  if (!arguments.has("data") && !std::filesystem::exists(path))
    return Found{{"127.0.0.1", default_port}, "the default"};

  SLUICE_TRY_ASSIGN(const Listeners listeners, read_listeners(data_dir));
  const std::string listener = fmt::format("{}{}", face, arguments.has("tls-ca") ? "s" : "");
  const auto found = listeners.find(listener);
  if (found == listeners.end())
    return fail(Errc::not_found, "the hub of {} has '{}' turned off", data_dir, listener);
  SLUICE_TRY_ASSIGN(HostPort address, parse_host_port(found->second));
  return Found{std::move(address), fmt::format("from {}", path)};
}

struct AddressList {
  addrinfo* head = nullptr;
  ~AddressList() {
    if (head != nullptr) freeaddrinfo(head);
  }
};

int connect_error(const addrinfo& address) {
  const int fd = socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol);
  if (fd < 0) return errno;
  const int error = connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  close(fd);
  return error;
}

Result<void> connect_once(const HostPort& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  AddressList list;
  const int failed =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list.head);
  if (failed != 0) return fail(Errc::io, "{}", gai_strerror(failed));
  int error = 0;
  for (const addrinfo* at = list.head; at != nullptr; at = at->ai_next) {
    error = connect_error(*at);
    if (error == 0) return {};
  }
  return fail(Errc::io, "{}", std::strerror(error));
}

}  // namespace

const Flag data_flag{
    "data", 0, "DIR",
    "Data directory of a running hub, to find its addresses (./data if it is there)"};

Flag address_flag(std::string_view face) {
  if (face == "mqtt") return {"mqtt", 0, "HOST:PORT", "Address of the hub's MQTT listener"};
  if (face == "admin") return {"admin", 0, "HOST:PORT", "Address of the hub's admin listener"};
  return {"kafka", 0, "HOST:PORT", "Address of the hub's Kafka listener"};
}

std::string listeners_path(std::string_view data_dir) {
  return fmt::format("{}/listeners.json", data_dir);
}

std::string to_json(const Listeners& listeners) {
  JsonObject out;
  for (const auto& [name, address] : listeners) out.add(name, address);
  return out.str() + '\n';
}

Result<Listeners> read_listeners(std::string_view data_dir) {
  const std::string path = listeners_path(data_dir);
  std::ifstream file(path);
  if (!file)
    return fail(Errc::not_found,
                "no {}: no hub runs there; start one with 'sluice server --data {}'", path,
                data_dir);
  auto listeners = parse_string_object(std::string(std::istreambuf_iterator<char>(file), {}));
  if (!listeners) return std::unexpected(listeners.error().context(path));
  return std::move(*listeners);
}

std::string to_string(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

Result<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0)
    return fail(Errc::invalid, "'{}' is no HOST:PORT", text);
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto port = parse_integer(text.substr(colon + 1));
  if (!port || *port < 1 || *port > 65535 || host.empty())
    return fail(Errc::invalid, "'{}' is no HOST:PORT", text);
  return HostPort{std::string(host), static_cast<std::uint16_t>(*port)};
}

Result<HostPort> find_hub(const Arguments& arguments, std::string_view face,
                          std::uint16_t default_port) {
  SLUICE_TRY_ASSIGN(Found found, look_up(arguments, face, default_port));
  const auto connected = connect_once(found.address);
  if (!connected)
    return fail(Errc::io,
                "no answer on {} ({}, {}): {}; start a hub with 'sluice server', or name another "
                "with --{} HOST:PORT",
                to_string(found.address), face, found.how, connected.error().text, face);
  return std::move(found.address);
}

}  // namespace sluice::cli
