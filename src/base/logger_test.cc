#include "base/logger.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

constexpr Logger logger("mqtt");

// What `log` writes to stderr, without the time: "T" stands for it.
template <class Fn>
std::string logged(Logger::Format format, Fn log) {
  Logger::set_format(format);
  ::testing::internal::CaptureStderr();
  log();
  std::string line = ::testing::internal::GetCapturedStderr();
  Logger::set_format(Logger::Format::automatic);
  constexpr std::size_t time_size = std::string_view("2026-01-02T03:04:05.678Z").size();
  const std::size_t at = line.starts_with('{') ? std::string_view(R"({"ts":")").size() : 0;
  if (line.size() >= at + time_size && line[at + time_size - 1] == 'Z') {
    line.replace(at, time_size, "T");
  }
  return line;
}

TEST(Logger, WritesJsonWithNumbersAndBooleansBare) {
  EXPECT_EQ(logged(Logger::Format::json,
                   [] {
                     logger.warn("session lags",
                                 {{"client", "c1"}, {"behind", -3}, {"persistent", true}});
                   }),
            R"({"ts":"T","level":"warn","component":"mqtt","msg":"session lags","client":"c1",)"
            R"("behind":-3,"persistent":true})"
            "\n");
}

TEST(Logger, EscapesWhatWouldBreakAJsonString) {
  EXPECT_EQ(
      logged(Logger::Format::json,
             [] { logger.info("a\"b\\c\nd", {{"k", "\x01\x1b[2J\x7f"}, {"u", "\xc3\xa9"}}); }),
      R"({"ts":"T","level":"info","component":"mqtt","msg":"a\"b\\c\nd",)"
      R"("k":"\u0001\u001b[2J\u007f","u":")"
      "\xc3\xa9\"}\n");
}

TEST(Logger, ReplacesBytesOfATextThatIsNotUtf8) {
  EXPECT_EQ(logged(Logger::Format::json, [] { logger.info("m", {{"k", "a\xff"}}); }),
            R"({"ts":"T","level":"info","component":"mqtt","msg":"m","k":"a\ufffd"})"
            "\n");
}

TEST(Logger, WritesTextThatQuotesOnlyWhereNeeded) {
  EXPECT_EQ(logged(Logger::Format::text,
                   [] {
                     logger.error(
                         "disk full",
                         {{"path", "/data/a"}, {"text", "no room\n"}, {"empty", ""}, {"n", 7}});
                   }),
            "T error mqtt: disk full path=/data/a text=\"no room\\n\" empty=\"\" n=7\n");
}

TEST(Logger, WritesJsonByDefaultWhereStderrIsNoTerminal) {
  EXPECT_TRUE(
      logged(Logger::Format::automatic, [] { logger.info("x"); }).starts_with(R"({"ts":"T")"));
}

TEST(Logger, WritesNothingBelowItsLevel) {
  EXPECT_EQ(logged(Logger::Format::json, [] { logger.debug("x"); }), "");
  Logger::set_level(LogLevel::off);
  EXPECT_EQ(logged(Logger::Format::json, [] { logger.error("x"); }), "");
  Logger::set_level(LogLevel::info);
}

TEST(LogLimit, LetsABurstThroughEachSecondAndCountsTheRest) {
  LogLimit limit(2);
  EXPECT_TRUE(limit.allow(5000));
  EXPECT_TRUE(limit.allow(5999));
  EXPECT_FALSE(limit.allow(5999));
  EXPECT_TRUE(limit.allow(6000));
  EXPECT_EQ(limit.take_suppressed(), 1u);
  EXPECT_EQ(limit.take_suppressed(), 0u);
}

TEST(LogLimit, AClockThatIsSetBackDoesNotSilenceTheLog) {
  LogLimit limit(1);
  EXPECT_TRUE(limit.allow(5'000'000));
  EXPECT_FALSE(limit.allow(5'000'000));
  EXPECT_TRUE(limit.allow(1'000'000));
  EXPECT_FALSE(limit.allow(1'000'999));
  EXPECT_TRUE(limit.allow(1'001'000));
}

}  // namespace
}  // namespace sluice
