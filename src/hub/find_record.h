#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/ids.h"
#include "log/block.h"

namespace sluice::hub {

// The index of the record at `offset` into block.records(); nothing if compaction has removed it,
// or it is not of this block.
inline std::optional<std::uint32_t> find_record(const log::Block& block, Offset offset) {
  const auto records = block.records();
  const std::int64_t delta = offset - block.from();
  const auto found = std::ranges::lower_bound(records, delta, {}, [](const log::Record& record) {
    return std::int64_t{record.offset_delta};
  });
  if (found == records.end() || found->offset_delta != delta) return std::nullopt;
  return static_cast<std::uint32_t>(found - records.begin());
}

}  // namespace sluice::hub
