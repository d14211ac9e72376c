#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace sluice {

// What went wrong, as the caller must tell cases apart. The text beside it is for people.
enum class Errc : std::uint8_t {
  malformed,        // bytes that break a format or protocol
  invalid,          // well-formed, but not allowed (a bad topic, a bad setting)
  too_large,        // over a stated limit
  unsupported,      // a feature or version that is not offered
  not_found,        // no such stream, partition, key, file
  exists,           // there is one of that name already
  busy,             // a queue is at its bound: nothing was taken, try again when told
  out_of_range,     // an offset below the start or beyond the end
  disk_full,        // no room; reads go on
  io,               // any other failure of disk or network
  corrupt,          // stored bytes whose checksum does not hold
  closed,           // the thing was shut down or deleted meanwhile
  unauthorized,     // access refused
  duplicate,        // an idempotent producer's batch that is in the log already
  sequence_gap,     // an idempotent producer's batch that does not follow its last one
  producer_fenced,  // a producer epoch older than the one in the log
};

std::string_view to_string(Errc code);

struct Error {
  Errc code;
  std::string text;  // names the thing at fault; no trailing full stop

  // "text" with what was being done in front: context("reading x") gives "reading x: text".
  [[nodiscard]] Error context(std::string_view what) const {
    return {code, std::string(what) + ": " + text};
  }
};

template <class T>
using Result = std::expected<T, Error>;

template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Errc code, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace sluice

// Returns the error of `expr` (a Result) from the calling function; does nothing when it holds a
// value.
#define SLUICE_TRY(expr)                                                  \
  do {                                                                    \
    if (auto sluice_try_result = (expr); !sluice_try_result) [[unlikely]] \
      return std::unexpected(std::move(sluice_try_result.error()));       \
  } while (false)

// As SLUICE_TRY, and assigns the value: SLUICE_TRY_ASSIGN(auto file, disk.open(path));
#define SLUICE_TRY_ASSIGN(target, expr) \
  SLUICE_TRY_ASSIGN_(SLUICE_TRY_NAME_(sluice_try_, __LINE__), target, expr)
#define SLUICE_TRY_NAME_(prefix, line) SLUICE_TRY_PASTE_(prefix, line)
#define SLUICE_TRY_PASTE_(prefix, line) prefix##line
#define SLUICE_TRY_ASSIGN_(name, target, expr)       \
  auto name = (expr);                                \
  if (!name) [[unlikely]]                            \
    return std::unexpected(std::move(name.error())); \
  target = std::move(*name)
