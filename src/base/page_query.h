#pragma once

#include <cstddef>
#include <string>

namespace sluice {

// Which page of a list of things with ids an administrator wants.
struct PageQuery {
  std::string after{};     // only ids that follow this one, byte by byte; empty: all
  std::string contains{};  // only ids that contain it
  std::size_t limit = 100;
};

}  // namespace sluice
