#include "base/utf8.h"

#include <cstdint>
#include <cstring>

namespace sluice {
namespace {

using Byte = unsigned char;

const Byte* skip_ascii(const Byte* at, const Byte* end) {
  for (; end - at >= 8; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    if ((word & 0x8080808080808080ull) != 0) break;
  }
  while (at != end && *at < 0x80) ++at;
  return at;
}

// The well-formed sequences of RFC 3629 section 4 by their first byte: how many bytes follow, and
// the range of the second one, which is what excludes overlong forms, surrogates and code points
// beyond U+10FFFF.
struct Sequence {
  int following;
  Byte second_min;
  Byte second_max;
};

Sequence sequence_of(Byte first) {
  if (first < 0xc2) return {0, 0, 0};
  if (first < 0xe0) return {1, 0x80, 0xbf};
  if (first == 0xe0) return {2, 0xa0, 0xbf};
  if (first == 0xed) return {2, 0x80, 0x9f};
  if (first < 0xf0) return {2, 0x80, 0xbf};
  if (first == 0xf0) return {3, 0x90, 0xbf};
  if (first < 0xf4) return {3, 0x80, 0xbf};
  if (first == 0xf4) return {3, 0x80, 0x8f};
  return {0, 0, 0};
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const Byte*>(text.data());
  const auto* const end = at + text.size();
  while ((at = skip_ascii(at, end)) != end) {
    const auto [following, second_min, second_max] = sequence_of(*at);
    if (following == 0 || end - at <= following) return false;
    if (at[1] < second_min || at[1] > second_max) return false;
    for (int i = 2; i <= following; ++i) {
      if ((at[i] & 0xc0) != 0x80) return false;
    }
    at += following + 1;
  }
  return true;
}

std::string_view beginning_of(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t size = bytes_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

}  // namespace sluice
