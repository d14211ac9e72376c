#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::http {

// "%2F" to "/" (RFC 3986, section 2.1). Errc::malformed: half an escape, or the result is not
// UTF-8.
Result<std::string> percent_decode(std::string_view text);

// The names and values behind the '?' of a request, decoded. '+' stands for itself, as MQTT filters
// need it. Of a name that comes twice the last value counts. Errc::malformed.
using Query = std::map<std::string, std::string, std::less<>>;
Result<Query> parse_query(std::string_view query);

// What stands in a path for the levels in braces of `pattern`, as it was sent:
// "/clients/a%2Fb" for "/clients/{id}" has "a%2Fb". Nothing if the path is another one.
std::optional<std::vector<std::string_view>> match_path(std::string_view pattern,
                                                        std::string_view path);

}  // namespace sluice::http
