#include "net/foreign.h"

#include <algorithm>
#include <array>

namespace sluice::net {

std::string_view foreign_protocol(Bytes first) {
  using std::literals::operator""sv;
  const std::string_view text = as_text(first);
  if (text.starts_with("\x16\x03"sv)) return "TLS";  // a handshake record, RFC 8446, section 5.1
  constexpr std::array methods{"GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "DELETE ", "PRI * "};
  if (std::ranges::any_of(methods, [&](auto method) { return text.starts_with(method); }))
    return "HTTP";
  // CONNECT, its length in one byte or two, the protocol's name.
  if (text.starts_with('\x10') && text.substr(0, 10).find("\0\4MQTT"sv) != text.npos) return "MQTT";
  return "";
}

}  // namespace sluice::net
