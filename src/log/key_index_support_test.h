#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "log/key_index_builder.h"
#include "log/sim_log_test.h"

namespace sluice::log {

// A file in memory.
class MemorySource final : public BatchSource {
 public:
  explicit MemorySource(Bytes file) : file_(file) {}
  Result<Bytes> bytes(std::uint64_t at, std::uint64_t size) override {
    const std::uint64_t begin = std::min<std::uint64_t>(at, file_.size());
    return file_.subspan(begin, std::min<std::uint64_t>(size, file_.size() - begin));
  }

 private:
  Bytes file_;
};

inline Buffer whole(const KeyIndexBuilder::File& file) {
  Buffer bytes = file.head;
  append(bytes, file.blocks);
  return bytes;
}

inline bool is_wanted(std::string_view key, const KeyHint& hint) {
  return std::ranges::any_of(hint.keys, [&](const std::string& k) { return key == k; }) ||
         std::ranges::any_of(hint.prefixes, [&](const auto& p) { return key.starts_with(p); });
}

}  // namespace sluice::log
