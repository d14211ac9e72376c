#include "net/foreign.h"

#include <gtest/gtest.h>

namespace sluice::net {
namespace {

using std::literals::operator""sv;

TEST(ForeignProtocol, IsToldByTheFirstBytes) {
  const auto told = [](std::string_view first) { return foreign_protocol(as_bytes(first)); };
  EXPECT_EQ(told("\x16\x03\x01\x02\x00\x01"sv), "TLS");
  EXPECT_EQ(told("GET / HTTP/1.1\r\n"), "HTTP");
  EXPECT_EQ(told("POST /x HTTP/1.1\r\n"), "HTTP");
  EXPECT_EQ(told("\x10\x0c\x00\x04MQTT\x05"sv), "MQTT");
  EXPECT_EQ(told("\x10\x80\x01\x00\x04MQTT\x05"sv), "MQTT");
  EXPECT_EQ(told("\x00\x00\x00\x20\x00\x12"sv), "") << "a request of Kafka";
  EXPECT_EQ(told("\x16"sv), "");
  EXPECT_EQ(told(""), "");
}

}  // namespace
}  // namespace sluice::net
