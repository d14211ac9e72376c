#include "net/proxy_header.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::net {
namespace {

using std::string_literals::operator""s;

constexpr std::string_view behind = "\x10\x0c...";

// The client and the size, such as "192.0.2.1:5 of 28", "unknown of 15"; "more"; or the error.
std::string decode(std::string_view text) {
  const auto header = decode_proxy_header(as_bytes(text));
  if (!header) return header.error().text;
  if (!*header) return "more";
  const auto& client = (*header)->client;
  return fmt::format("{} of {}", client ? runtime::to_string(*client) : "unknown", (*header)->size);
}

struct Binary {
  std::uint8_t command = 0x21;  // version 2, PROXY
  std::uint8_t family = 0x11;   // IPv4, stream
  std::string addresses = "\xc0\x00\x02\x01\xc0\x00\x02\x02\x01\x02\x07\x5b"s;
  std::string extensions{};
  std::size_t size = addresses.size() + extensions.size();

  [[nodiscard]] std::string text() const {
    std::string out = "\r\n\r\n\0\r\nQUIT\n"s;
    out += static_cast<char>(command);
    out += static_cast<char>(family);
    out += static_cast<char>(size >> 8);
    out += static_cast<char>(size);
    return out + addresses + extensions;
  }
};

std::string ipv6_addresses() {
  return "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"s + "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"s +
         "\x01\x02\x07\x5b";
}

TEST(ProxyHeader, Version1NamesAClientOfEitherFamily) {
  EXPECT_EQ(decode("PROXY TCP4 192.0.2.1 192.0.2.2 258 1883\r\n"), "192.0.2.1:258 of 41");
  EXPECT_EQ(decode("PROXY TCP6 2001:db8::1 2001:db8::2 258 1883\r\n"), "[2001:db8::1]:258 of 45");
  EXPECT_EQ(decode("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
            "255.255.255.255:65535 of 56");
}

TEST(ProxyHeader, Version1MayNotKnowTheClient) {
  EXPECT_EQ(decode("PROXY UNKNOWN\r\n"), "unknown of 15");
  EXPECT_EQ(decode("PROXY UNKNOWN what ever 1 2 3\r\n"), "unknown of 31");
  const std::string longest = "PROXY UNKNOWN " + std::string(91, 'f') + "\r\n";
  EXPECT_EQ(decode(longest), "unknown of 107");
}

TEST(ProxyHeader, Version2NamesAClientOfEitherFamily) {
  EXPECT_EQ(decode(Binary{}.text()), "192.0.2.1:258 of 28");
  EXPECT_EQ(decode(Binary{.family = 0x21, .addresses = ipv6_addresses()}.text()),
            "[2001:db8::1]:258 of 52");
}

TEST(ProxyHeader, AnIpv4AddressWithinIpv6IsShownAsWhatItIs) {
  std::string addresses = ipv6_addresses();
  addresses.replace(0, 16, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01"s);
  EXPECT_EQ(decode(Binary{.family = 0x21, .addresses = addresses}.text()), "192.0.2.1:258 of 52");
}

TEST(ProxyHeader, Version2MayNotKnowTheClientOrSpeakForTheProxyItself) {
  EXPECT_EQ(decode(Binary{.family = 0, .addresses = ""}.text()), "unknown of 16") << "UNSPEC";
  EXPECT_EQ(decode(Binary{.family = 0x31, .addresses = std::string(216, 'u')}.text()),
            "unknown of 232")
      << "a Unix socket";
  EXPECT_EQ(decode(Binary{.command = 0x20, .family = 0, .addresses = ""}.text()), "unknown of 16");
  EXPECT_EQ(decode(Binary{.command = 0x20}.text()), "unknown of 28")
      << "LOCAL: addresses mean nothing";
  EXPECT_EQ(decode(Binary{.command = 0x20, .family = 0xff, .addresses = ""}.text()),
            "unknown of 16");
}

TEST(ProxyHeader, ExtensionsArePassedOverUpToABound) {
  EXPECT_EQ(decode(Binary{.extensions = "\x01\x00\x04mqtt"s}.text()), "192.0.2.1:258 of 35");
  const std::size_t room = proxy_header_max - 28;
  EXPECT_EQ(decode(Binary{.extensions = std::string(room, 'x')}.text()), "192.0.2.1:258 of 4096");
  EXPECT_EQ(decode(Binary{.size = room + 13}.text()), "4097 bytes, more than 4096")
      << "refused before they have come";
}

TEST(ProxyHeader, WhatComesBehindItIsNotTouched) {
  EXPECT_EQ(decode("PROXY UNKNOWN\r\n" + std::string(behind)), "unknown of 15");
  EXPECT_EQ(decode(Binary{}.text() + std::string(behind)), "192.0.2.1:258 of 28");
}

TEST(ProxyHeader, EachPartOfItNeedsMore) {
  for (const std::string& whole :
       {"PROXY TCP4 192.0.2.1 192.0.2.2 258 1883\r\n"s, Binary{}.text(),
        Binary{.family = 0x21, .addresses = ipv6_addresses(), .extensions = "\x04\0\0"s}.text()}) {
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_EQ(decode(whole.substr(0, size)), "more") << size;
  }
}

TEST(ProxyHeader, WhatBeginsOtherwiseHasNone) {
  for (const char* text :
       {"\x10", "\x16\x03\x01", "GET / HTTP/1.1\r\n", "proxy ", "PROXY\t", "\r\n\r\n\r\n", "\r\nQ"})
    EXPECT_EQ(decode(text), "there is none") << text;
}

TEST(ProxyHeader, ABadLineIsRefusedWithWhatIsWrong) {
  const std::string no_address = "an address or port is not one of TCP4";
  const std::string no_port = "a port is no number from 0 to 65535";
  const std::string no_family = "the address family is none of TCP4, TCP6 and UNKNOWN";
  const std::string no_end = "the line does not end in CR LF";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", no_family},
      {"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", no_family},
      {"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", no_family},
      {"PROXY \r\n", no_family},
      {"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", no_address},
      {"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "an address or port is not one of TCP6"},
      {"PROXY TCP4 unix:/x unix:/x 1 2\r\n", no_address},
      {"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", no_address},
      {"PROXY TCP4 192.0.2.1 host 1 2\r\n", no_address},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", no_address},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", no_address},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2x\r\n", no_address},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", no_port},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", no_port},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", no_address},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", no_address},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", no_end},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx", no_end},
      {"PROXY UNKNOWN \0\r\n"s, no_end},
      {"PROXY UNKNOWN " + std::string(92, 'f') + "\r\n", "a line of more than 107 bytes"},
      {"PROXY UNKNOWN " + std::string(93, 'f'), "a line of more than 107 bytes"},
  };
  for (const auto& [text, error] : cases) EXPECT_EQ(decode(text), error) << text;
}

TEST(ProxyHeader, ABadBinaryHeaderIsRefusedWithWhatIsWrong) {
  EXPECT_EQ(decode(Binary{.command = 0x11}.text()), "version 1 is not known");
  EXPECT_EQ(decode(Binary{.command = 0x31}.text()), "version 3 is not known");
  EXPECT_EQ(decode(Binary{.command = 0x22}.text()), "the command 2 is not known");
  EXPECT_EQ(decode(Binary{.family = 0x41}.text()), "the address family 4 is not known");
  EXPECT_EQ(decode(Binary{.family = 0x01}.text()), "the address family 0 is not known");
  EXPECT_EQ(decode(Binary{.family = 0x12}.text()), "the connection is not of the stream type");
  EXPECT_EQ(decode(Binary{.family = 0x10}.text()), "the connection is not of the stream type");
  EXPECT_EQ(decode(Binary{.size = 11}.text()), "27 bytes are too few for its addresses");
  EXPECT_EQ(decode(Binary{.family = 0x21}.text()), "28 bytes are too few for its addresses");
  EXPECT_EQ(decode(Binary{.family = 0x31}.text()), "28 bytes are too few for its addresses");
}

TEST(ProxyHeader, ABadOneIsRefusedAsSoonAsItCanBeSeen) {
  EXPECT_EQ(decode(Binary{.command = 0x11}.text().substr(0, 13)), "version 1 is not known");
  EXPECT_EQ(decode(Binary{.family = 0x12}.text().substr(0, 14)),
            "the connection is not of the stream type");
  EXPECT_EQ(decode(Binary{.size = 60'000}.text().substr(0, 16)), "60016 bytes, more than 4096");
}

}  // namespace
}  // namespace sluice::net
