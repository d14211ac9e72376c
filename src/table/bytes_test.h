#pragma once

#include <string_view>

#include "base/bytes.h"

namespace sluice::table {

inline Buffer bytes(std::string_view text) {
  const auto view = as_bytes(text);
  return {view.begin(), view.end()};
}

}  // namespace sluice::table
