#pragma once

#include <memory>
#include <string>
#include <vector>

namespace sluice::log {

// Which records a reader wants: those with one of these keys, and those whose key begins with one
// of these prefixes. A read may leave out others, and none of these; the reader looks again.
struct KeyHint {
  std::vector<std::string> keys;
  std::vector<std::string> prefixes;
};

// Shared, since one hint serves many reads, and what an index said to it is remembered by it.
using KeyHintRef = std::shared_ptr<const KeyHint>;

}  // namespace sluice::log
