#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace sluice::cli {

// Reads an object whose values are all strings, as in listeners.json. Errc::malformed.
Result<std::map<std::string, std::string, std::less<>>> parse_string_object(std::string_view text);

}  // namespace sluice::cli
