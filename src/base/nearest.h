#pragma once

#include <span>
#include <string_view>

namespace sluice {

// The candidate that `word` most likely was meant to be, for "did you mean": the smallest edit
// distance (Levenshtein: insert, delete or replace one character), the first of several. Empty when
// none is near: more than a third of the word would have to change.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace sluice
