#pragma once

#include <string_view>

namespace sluice {

// The version in the project's CMakeLists.txt, handed over by the module's.
inline constexpr std::string_view version = SLUICE_VERSION;

}  // namespace sluice
