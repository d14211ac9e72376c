#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/buffer.h"

namespace sluice {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline void append(Buffer& out, Bytes bytes) { out.append(bytes.data(), bytes.size()); }

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Big-endian (network order) loads and stores; `at` need not be aligned. The caller has checked the
// room.
template <std::integral T>
T load_be(const std::byte* at) {
  std::make_unsigned_t<T> value;
  std::memcpy(&value, at, sizeof value);
  if constexpr (sizeof(T) == 2) value = __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) value = __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) value = __builtin_bswap64(value);
  return static_cast<T>(value);
}

template <std::integral T>
void store_be(std::byte* at, T number) {
  auto value = static_cast<std::make_unsigned_t<T>>(number);
  if constexpr (sizeof(T) == 2) value = __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) value = __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) value = __builtin_bswap64(value);
  std::memcpy(at, &value, sizeof value);
}

static_assert(std::endian::native == std::endian::little,
              "sluice is built for little-endian machines");

// Reads big-endian fields from the front of a span. After a read beyond the end every further read
// gives zero or empty and ok() is false, so a decoder may check once at the end of a group of
// fields.
class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes), size_(bytes.size()) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  [[nodiscard]] std::size_t position() const { return size_ - rest_.size(); }
  [[nodiscard]] Bytes rest() const { return rest_; }
  void set_failed() {
    ok_ = false;
    rest_ = {};
  }

  template <std::integral T>
  T read() {
    if (rest_.size() < sizeof(T)) [[unlikely]] {
      set_failed();
      return 0;
    }
    const T value = load_be<T>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }

  Bytes take(std::size_t count) {
    if (rest_.size() < count) [[unlikely]] {
      set_failed();
      return {};
    }
    const Bytes taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  void skip(std::size_t count) { take(count); }

  // Unsigned LEB128 as Kafka's compact types and MQTT's variable byte integer use it; at most
  // `bytes_max` bytes.
  std::uint64_t read_uvarint(std::size_t bytes_max = 10) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes_max && i < rest_.size(); ++i) {
      const auto byte = std::to_integer<std::uint64_t>(rest_[i]);
      value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        rest_ = rest_.subspan(i + 1);
        return value;
      }
    }
    set_failed();
    return 0;
  }

  // Zigzag varint of Kafka records.
  std::int64_t read_varint() {
    const std::uint64_t raw = read_uvarint();
    return static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
  }

 private:
  Bytes rest_;
  std::size_t size_;
  bool ok_ = true;
};

// Appends big-endian fields to a buffer that the caller owns and may reuse.
class Writer {
 public:
  explicit Writer(Buffer& out) : out_(out) {}

  [[nodiscard]] std::size_t size() const { return out_.size(); }

  template <std::integral T>
  void write(std::type_identity_t<T> value) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof(T));
    store_be<T>(out_.data() + at, value);
  }

  void write_bytes(Bytes bytes) { append(out_, bytes); }
  void write_text(std::string_view text) { write_bytes(as_bytes(text)); }

  void write_uvarint(std::uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<std::byte>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<std::byte>(value));
  }

  void write_varint(std::int64_t value) {
    write_uvarint((static_cast<std::uint64_t>(value) << 1) ^
                  static_cast<std::uint64_t>(value >> 63));
  }

  // Overwrites what was written at `at` before, for lengths that are known late.
  template <std::integral T>
  void patch(std::size_t at, std::type_identity_t<T> value) {
    store_be<T>(out_.data() + at, value);
  }

 private:
  Buffer& out_;
};

}  // namespace sluice
