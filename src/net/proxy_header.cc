#include "net/proxy_header.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace sluice::net {

namespace {

using Decoded = Result<std::optional<ProxyHeader>>;
using std::string_view_literals::operator""sv;

constexpr auto need_more = std::nullopt;

template <class... Args>
auto malformed(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Errc::malformed, format, std::forward<Args>(args)...);
}

// `in`, as far as it goes, begins as `start` does.
bool may_become(Bytes in, std::string_view start) {
  const std::size_t size = std::min(in.size(), start.size());
  return as_text(in.first(size)) == start.substr(0, size);
}

// --- version 1: a line of text (section 2.1)

constexpr std::string_view text_start = "PROXY ";
constexpr std::size_t line_max = 107;  // with CR LF

// The next word of `line` and the space behind it.
std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

Result<runtime::Endpoint> text_endpoint(bool v6, std::string_view address, std::string_view port) {
  if (port.empty() || port.size() > 5 || (port.size() > 1 && port.front() == '0'))
    return malformed("a port is no number from 0 to 65535");
  auto endpoint = runtime::parse_endpoint(v6 ? fmt::format("[{}]:{}", address, port)
                                             : fmt::format("{}:{}", address, port));
  if (!endpoint || runtime::is_unix(*endpoint))
    return malformed("an address or port is not one of {}", v6 ? "TCP6" : "TCP4");
  return endpoint;
}

Result<std::optional<runtime::Endpoint>> client_of_line(std::string_view line) {
  line.remove_prefix(text_start.size());
  const std::string_view family = take_word(line);
  if (family == "UNKNOWN") return std::nullopt;  // whatever else the line says
  if (family != "TCP4" && family != "TCP6")
    return malformed("the address family is none of TCP4, TCP6 and UNKNOWN");
  const bool v6 = family == "TCP6";
  const std::string_view source = take_word(line);
  const std::string_view destination = take_word(line);
  const std::string_view source_port = take_word(line);
  const std::string_view destination_port = line;
  SLUICE_TRY(text_endpoint(v6, destination, destination_port));
  SLUICE_TRY_ASSIGN(auto client, text_endpoint(v6, source, source_port));
  return client;
}

Decoded decode_text(Bytes in) {
  const std::string_view text = as_text(in.first(std::min(in.size(), line_max)));
  const std::size_t end = text.find_first_of("\r\n\0"sv);
  if (end == std::string_view::npos) {
    if (text.size() == line_max) return malformed("a line of more than {} bytes", line_max);
    return need_more;
  }
  if (text[end] != '\r') return malformed("the line does not end in CR LF");
  if (end + 1 == line_max) return malformed("a line of more than {} bytes", line_max);
  if (end + 1 == text.size()) return need_more;
  if (text[end + 1] != '\n') return malformed("the line does not end in CR LF");
  SLUICE_TRY_ASSIGN(auto client, client_of_line(text.substr(0, end)));
  return ProxyHeader{end + 2, std::move(client)};
}

// --- version 2: binary (section 2.2)

constexpr std::string_view signature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t fixed_size = 16;
constexpr std::size_t command_at = 12;
constexpr std::size_t family_at = 13;
constexpr std::size_t length_at = 14;

enum class Family : std::uint8_t { unspecified = 0, ipv4 = 1, ipv6 = 2, unix_socket = 3 };

std::uint8_t byte_at(Bytes in, std::size_t at) { return std::to_integer<std::uint8_t>(in[at]); }

std::uint16_t uint16_at(Bytes in, std::size_t at) { return load_be<std::uint16_t>(in.data() + at); }

// Bytes that the addresses of a family take.
std::size_t addresses_size(Family family) {
  constexpr std::array<std::size_t, 4> sizes{0, 12, 36, 216};
  return sizes[static_cast<std::size_t>(family)];
}

Result<void> check_family(std::uint8_t byte) {
  constexpr std::uint8_t stream = 1;
  if (byte == 0) return {};  // UNSPEC
  const int family = byte >> 4;
  if (family < 1 || family > 3) return malformed("the address family {} is not known", family);
  if ((byte & 0x0f) != stream) return malformed("the connection is not of the stream type");
  return {};
}

Result<void> check_command(std::uint8_t byte) {
  if (byte >> 4 != 2) return malformed("version {} is not known", byte >> 4);
  if ((byte & 0x0f) > 1) return malformed("the command {} is not known", byte & 0x0f);
  return {};
}

// `addresses`: source address, destination address, source port, destination port.
std::optional<runtime::Endpoint> client_of(Family family, Bytes addresses) {
  if (family != Family::ipv4 && family != Family::ipv6) return std::nullopt;
  const std::size_t size = family == Family::ipv4 ? 4 : 16;
  return runtime::Endpoint{runtime::address_text(addresses.first(size)),
                           uint16_at(addresses, 2 * size)};
}

Decoded decode_binary(Bytes in) {
  if (in.size() <= command_at) return need_more;
  const std::uint8_t command = byte_at(in, command_at);
  SLUICE_TRY(check_command(command));
  const bool local = (command & 0x0f) == 0;  // then addresses mean nothing, whatever is there
  if (in.size() <= family_at) return need_more;
  if (!local) SLUICE_TRY(check_family(byte_at(in, family_at)));
  if (in.size() < fixed_size) return need_more;
  const std::size_t size = fixed_size + uint16_at(in, length_at);
  if (size > proxy_header_max) return malformed("{} bytes, more than {}", size, proxy_header_max);
  const auto family =
      local ? Family::unspecified : static_cast<Family>(byte_at(in, family_at) >> 4);
  if (size < fixed_size + addresses_size(family))
    return malformed("{} bytes are too few for its addresses", size);
  if (in.size() < size) return need_more;
  return ProxyHeader{size, client_of(family, in.subspan(fixed_size, addresses_size(family)))};
}

}  // namespace

Decoded decode_proxy_header(Bytes in) {
  if (may_become(in, text_start))
    return in.size() < text_start.size() ? Decoded{} : decode_text(in);
  if (may_become(in, signature)) return decode_binary(in);
  return malformed("there is none");
}

}  // namespace sluice::net
