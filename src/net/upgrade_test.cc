#include "net/upgrade.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::net {
namespace {

// The example of RFC 6455, section 1.3, with the subprotocol of MQTT.
struct Fields {
  std::string line = "GET /mqtt HTTP/1.1";
  std::string connection = "Connection: keep-alive, Upgrade\r\n";
  std::string upgrade = "Upgrade: WebSocket\r\n";
  std::string version = "Sec-WebSocket-Version: 13\r\n";
  std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  std::string protocol = "Sec-WebSocket-Protocol: chat, mqtt\r\n";
  std::string more{};

  [[nodiscard]] std::string text() const {
    return fmt::format("{}\r\nHost: hub\r\n{}{}{}{}{}{}\r\n", line, connection, upgrade, version,
                       key, protocol, more);
  }
};

const AllowedOrigins no_origins;

std::string response_to(const std::string& request) {
  UpgradeRequest upgrade(no_origins);
  upgrade.feed(as_bytes(request));
  return upgrade.response();
}

TEST(UpgradeRequest, IsAcceptedAsTheStandardSays) {
  UpgradeRequest upgrade(no_origins);
  const std::string request = Fields{}.text();
  EXPECT_EQ(upgrade.feed(as_bytes(request)), request.size());
  EXPECT_TRUE(upgrade.done());
  EXPECT_EQ(upgrade.refusal(), "");
  EXPECT_EQ(upgrade.response(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
}

TEST(UpgradeRequest, OfAPageMustComeFromAnAllowedOrigin) {
  const AllowedOrigins origins{{"https://console.example.org"}};
  const auto accepted = [](const AllowedOrigins& by, const std::string& origin) {
    UpgradeRequest upgrade(by);
    upgrade.feed(as_bytes(Fields{.more = fmt::format("Origin: {}\r\n", origin)}.text()));
    return upgrade.refusal().empty();
  };
  for (const char* const origin : {"http://localhost", "http://localhost:3000", "https://127.0.0.1",
                                   "http://[::1]:8080", "https://console.example.org"})
    EXPECT_TRUE(accepted(origins, origin)) << origin;
  for (const char* const origin :
       {"https://evil.example", "http://localhost.evil.example", "http://console.example.org",
        "https://console.example.org:444", "null", "localhost"})
    EXPECT_FALSE(accepted(origins, origin)) << origin;
  EXPECT_TRUE(accepted({{"*"}}, "https://evil.example"));
}

TEST(UpgradeRequest, MayArriveByteByByteAndLeavesTheFramesBehindIt) {
  const std::string request = Fields{}.text();
  UpgradeRequest upgrade(no_origins);
  for (std::size_t i = 0; i + 1 < request.size(); ++i) {
    EXPECT_EQ(upgrade.feed(as_bytes(request).subspan(i, 1)), 1u);
    EXPECT_FALSE(upgrade.done());
  }
  EXPECT_EQ(upgrade.feed(as_bytes("\nframes")), 1u);
  EXPECT_EQ(upgrade.response(), response_to(request));
  EXPECT_EQ(upgrade.feed(as_bytes("frames")), 0u);
}

TEST(UpgradeRequest, TakesWhatClientsDifferIn) {
  for (const Fields& fields : {
           Fields{.line = "GET / HTTP/1.1"},
           Fields{.line = "GET /mqtt?token=x HTTP/1.1"},
           Fields{.connection = "connection: UPGRADE\r\n"},
           Fields{.protocol = "Sec-WebSocket-Protocol: mqtt\r\n"},
           Fields{.protocol = "Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n"},
           Fields{.more = "Origin: http://localhost:3000\r\nSec-WebSocket-Extensions: "
                          "permessage-deflate; client_max_window_bits\r\n"},
       }) {
    EXPECT_TRUE(response_to(fields.text()).starts_with("HTTP/1.1 101 ")) << fields.text();
    EXPECT_NE(response_to(fields.text()).find("Protocol: mqtt\r\n"), std::string::npos);
  }
  const std::string old =
      response_to(Fields{.protocol = "Sec-WebSocket-Protocol: mqttv3.1\r\n"}.text());
  EXPECT_NE(old.find("Protocol: mqttv3.1\r\n"), std::string::npos);
}

TEST(UpgradeRequest, IsRefusedWithAStatusAndAReason) {
  struct Case {
    Fields fields;
    std::string status;
    std::string part;
  };
  const std::vector<Case> cases{
      {{.line = "GET /other HTTP/1.1"}, "404", "/mqtt"},
      {{.line = "POST /mqtt HTTP/1.1"}, "405", "Allow: GET\r\n"},
      {{.line = "GET /mqtt HTTP/1.0"}, "400", "HTTP/1.1"},
      {{.connection = ""}, "426", "Upgrade: websocket\r\n"},
      {{.upgrade = ""}, "426", "Upgrade: websocket\r\n"},
      {{.upgrade = "Upgrade: h2c\r\n"}, "426", "MQTT over WebSocket"},
      {{.version = ""}, "426", "Sec-WebSocket-Version: 13\r\n"},
      {{.version = "Sec-WebSocket-Version: 8\r\n"}, "426", "Sec-WebSocket-Version: 13\r\n"},
      {{.key = ""}, "400", "Sec-WebSocket-Key"},
      {{.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n"}, "400", "Sec-WebSocket-Key"},
      {{.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!!==\r\n"}, "400", "Sec-WebSocket-Key"},
      {{.protocol = ""}, "400", "subprotocol"},
      {{.protocol = "Sec-WebSocket-Protocol: MQTT\r\n"}, "400", "subprotocol"},
      {{.line = "\x10\x0c MQTT"}, "400", "Bad Request"},
      {{.more = "X: " + std::string(UpgradeRequest::size_max, 'x') + "\r\n"}, "431", "8 KiB"},
  };
  for (const Case& wrong : cases) {
    UpgradeRequest upgrade(no_origins);
    upgrade.feed(as_bytes(wrong.fields.text()));
    EXPECT_TRUE(upgrade.response().starts_with("HTTP/1.1 " + wrong.status)) << upgrade.response();
    EXPECT_NE(upgrade.response().find(wrong.part), std::string::npos) << upgrade.response();
    EXPECT_TRUE(upgrade.refusal().starts_with(wrong.status));
  }
}

}  // namespace
}  // namespace sluice::net
