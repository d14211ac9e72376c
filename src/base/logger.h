#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace sluice {

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };

// One key of an event: {"peer", address}. Numbers and booleans are written as such in JSON.
struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), bare(true) {}
  template <std::integral T>
  LogField(std::string_view k, T v) : key(k), value(std::to_string(v)), bare(true) {}
  std::string_view key;
  std::string value;
  bool bare = false;  // written without quotes
};

// One per module: `Logger logger("mqtt");`. An event is one line on stderr: text on a terminal,
// JSON otherwise (ts, level, component, msg, then the fields). Any thread may log; lines are
// written whole. Where a client can cause an event, use a LogLimit so that it cannot fill the disk.
class Logger {
 public:
  using Fields = std::initializer_list<LogField>;
  explicit constexpr Logger(std::string_view component) : component_(component) {}

  [[nodiscard]] static bool enabled(LogLevel level) {
    return level >= level_.load(std::memory_order_relaxed);
  }
  static void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }
  enum class Format : std::uint8_t { automatic, text, json };
  static void set_format(Format format);

  void debug(std::string_view msg, Fields fields = {}) const {
    write(LogLevel::debug, msg, fields);
  }
  void info(std::string_view msg, Fields fields = {}) const { write(LogLevel::info, msg, fields); }
  void warn(std::string_view msg, Fields fields = {}) const { write(LogLevel::warn, msg, fields); }
  void error(std::string_view msg, Fields fields = {}) const {
    write(LogLevel::error, msg, fields);
  }

 private:
  void write(LogLevel level, std::string_view msg, Fields fields) const;
  std::string_view component_;
  static std::atomic<LogLevel> level_;
};

// Lets `burst` events a second through and counts the rest. Not thread-safe: one per shard.
//
//   if (limit_.allow(now_ms)) logger.warn(..., {{"suppressed", limit_.take_suppressed()}});
class LogLimit {
 public:
  explicit LogLimit(std::uint32_t burst = 10) : burst_(burst) {}
  bool allow(std::int64_t now_ms) {
    // A clock that was set back begins a new second as well, or all would be quiet until it is
    // there.
    if (now_ms - window_start_ms_ >= 1000 || now_ms < window_start_ms_) {
      window_start_ms_ = now_ms;
      used_ = 0;
    }
    if (used_ < burst_) {
      ++used_;
      return true;
    }
    ++suppressed_;
    return false;
  }
  std::uint64_t take_suppressed() {
    const auto count = suppressed_;
    suppressed_ = 0;
    return count;
  }

 private:
  std::uint32_t burst_;
  std::uint32_t used_ = 0;
  std::int64_t window_start_ms_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace sluice
