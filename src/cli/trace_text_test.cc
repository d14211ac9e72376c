#include "cli/trace_text.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

// Without the time in front.
std::string text_of(TraceText& text, const std::string& event) {
  const auto object = parse_object(event);
  EXPECT_TRUE(object) << event;
  const std::string line = text.line(JsonFields(*object));
  EXPECT_EQ(line.substr(8, 1), ".") << line;
  return line.substr(14);
}

std::string text_of(const std::string& event) {
  TraceText text;
  return text_of(text, event);
}

TEST(TraceText, ShowsPacketsWithTheirDirection) {
  EXPECT_EQ(
      text_of(
          R"({"event":"received","client":"dev","topic":"a/b","payload_size":5,"packet":"PUBLISH","qos":1,"id":9})"),
      "dev  <- PUBLISH  a/b  qos 1, id 9, payload 5 B");
  EXPECT_EQ(
      text_of(
          R"({"event":"sent","client":"dev","packet":"CONNACK","code":"0x87","reason":"not_authorized","text":"no"})"),
      "dev  -> CONNACK  code 0x87, not_authorized, \"no\"");
  EXPECT_EQ(
      text_of(
          R"({"event":"received","client":"dev","packet":"SUBSCRIBE","id":1,"filters":[{"filter":"a/#","qos":1,"no_local":true},{"filter":"b","qos":0}]})"),
      "dev  <- SUBSCRIBE  a/# qos 1 no-local, b qos 0  id 1");
  EXPECT_EQ(
      text_of(
          R"({"event":"sent","client":"dev","packet":"SUBACK","id":1,"codes":["0x01","0x87 not_authorized"]})"),
      "dev  -> SUBACK  0x01, 0x87 not_authorized  id 1");
}

TEST(TraceText, SaysWhyAMessageDidNotArrive) {
  EXPECT_EQ(
      text_of(
          R"({"event":"not_delivered","client":"dev","topic":"a","stream":"mqtt","partition":0,"offset":7,"reason":"no_local"})"),
      "dev  NOT DELIVERED  a  (mqtt/0 offset 7): it is the client's own, and the subscription is "
      "no-local");
  EXPECT_EQ(
      text_of(
          R"({"event":"message","topic":"a","payload_size":1,"stream":"mqtt","partition":0,"offset":7,"from":"kafka","subscribers":0})"),
      "  message   a  mqtt/0 offset 7, from kafka: nobody gets it, no filter of a "
      "client matches");
  EXPECT_EQ(
      text_of(
          R"({"event":"delivered","client":"dev","topic":"a","payload_size":1,"stream":"mqtt","partition":0,"offset":7,"packet":"PUBLISH","qos":0,"published_qos":2})"),
      "dev  -> PUBLISH  a  qos 0, payload 1 B, published at qos 2  (mqtt/0 offset 7)");
}

TEST(TraceText, SaysHowAConnectionEnded) {
  EXPECT_EQ(text_of(R"({"event":"ended","client":"dev","reason":"success","text":"DISCONNECT"})"),
            "dev  connection ended: DISCONNECT");
  EXPECT_EQ(text_of(R"({"event":"ended","client":"dev","reason":"malformed","text":"a bad flag"})"),
            "dev  connection ended: malformed (a bad flag)");
}

TEST(TraceText, NothingReachesTheTerminalUnescaped) {
  const std::string line = text_of(
      R"({"event":"received","client":"\u001b[2J","topic":"\u0007\u009b\u202e","packet":"PUBLISH","payload":"a\nb"})");
  EXPECT_EQ(line, R"(\x1b[2J  <- PUBLISH  \x07\u009b\u202e  "a\x0ab")");
}

TEST(TraceText, AnEventOfANewerHubIsShownAsItIs) {
  EXPECT_EQ(text_of(R"({"event":"new","client":"dev","x":[1,true,"\u001b"]})"),
            R"(dev  {"event":"new","client":"dev","x":[1,true,"\u001b"]})");
}

TEST(TraceText, ClientsStandBelowEachOther) {
  TraceText text;
  EXPECT_EQ(
      text_of(text,
              R"({"event":"joined_tail","client":"dev","stream":"s","partition":1,"offset":2})"),
      "dev  has caught up at s/1 offset 2");
  EXPECT_EQ(
      text_of(text,
              R"({"event":"joined_tail","client":"device","stream":"s","partition":1,"offset":2})"),
      "device  has caught up at s/1 offset 2");
  EXPECT_EQ(
      text_of(text,
              R"({"event":"joined_tail","client":"dev","stream":"s","partition":1,"offset":2})"),
      "dev     has caught up at s/1 offset 2");
}

}  // namespace
}  // namespace sluice::cli
