#include "base/logger.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <iterator>

#include "base/utf8.h"

namespace sluice {
namespace {

std::atomic<Logger::Format> chosen_format{Logger::Format::automatic};

bool writes_text() {
  const auto format = chosen_format.load(std::memory_order_relaxed);
  if (format == Logger::Format::automatic) return ::isatty(STDERR_FILENO) == 1;
  return format == Logger::Format::text;
}

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::trace:
      return "trace";
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
    case LogLevel::off:
      break;
  }
  return "off";
}

// RFC 3339 in UTC, with milliseconds.
void append_time(std::string& out) {
  using namespace std::chrono;
  const auto now_ms = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  const std::time_t seconds = now_ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                 utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                 utc.tm_sec, now_ms % 1000);
}

// A JSON string (RFC 8259 section 7). Texts may come from clients: control characters never reach a
// terminal, and in a text that is not UTF-8 each byte above ASCII becomes U+FFFD.
void append_quoted(std::string& out, std::string_view text) {
  const bool valid = is_valid_utf8(text);
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else if (byte >= 0x80 && !valid) {
      out += "\\ufffd";
    } else {
      out += c;
    }
  }
  out += '"';
}

bool reads_as_one_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
  });
}

void append_word(std::string& out, std::string_view text) {
  if (reads_as_one_word(text)) {
    out += text;
  } else {
    append_quoted(out, text);
  }
}

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

std::string text_line(LogLevel level, std::string_view component, std::string_view msg,
                      Logger::Fields fields) {
  std::string out;
  append_time(out);
  fmt::format_to(std::back_inserter(out), " {:<5} {}: ", name_of(level), component);
  if (is_printable_ascii(msg)) {
    out += msg;
  } else {
    append_quoted(out, msg);
  }
  for (const auto& field : fields) {
    out += ' ';
    out += field.key;
    out += '=';
    append_word(out, field.value);
  }
  out += '\n';
  return out;
}

std::string json_line(LogLevel level, std::string_view component, std::string_view msg,
                      Logger::Fields fields) {
  std::string out = "{\"ts\":\"";
  append_time(out);
  fmt::format_to(std::back_inserter(out), R"(","level":"{}","component":)", name_of(level));
  append_quoted(out, component);
  out += ",\"msg\":";
  append_quoted(out, msg);
  for (const auto& field : fields) {
    out += ',';
    append_quoted(out, field.key);
    out += ':';
    if (field.bare) {
      out += field.value;
    } else {
      append_quoted(out, field.value);
    }
  }
  out += "}\n";
  return out;
}

}  // namespace

std::atomic<LogLevel> Logger::level_{LogLevel::info};

void Logger::set_format(Format format) { chosen_format.store(format, std::memory_order_relaxed); }

void Logger::write(LogLevel level, std::string_view msg, Fields fields) const {
  if (!enabled(level)) return;
  const std::string line = writes_text() ? text_line(level, component_, msg, fields)
                                         : json_line(level, component_, msg, fields);
  // One call, so that lines of several threads stay whole. A failure has nowhere to be told.
  while (::write(STDERR_FILENO, line.data(), line.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace sluice
