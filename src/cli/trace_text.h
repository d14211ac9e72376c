#pragma once

#include <cstddef>
#include <string>

#include "cli/json_fields.h"

namespace sluice::cli {

// The events of a trace (docs/reference/admin-api.md) as lines for people: time, client, what
// happened. Nothing that a client has named reaches the terminal unescaped.
class TraceText {
 public:
  std::string line(const JsonFields& event);

 private:
  std::size_t client_width_ = 0;  // of the widest so far
};

}  // namespace sluice::cli
