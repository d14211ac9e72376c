#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "table/store.h"

namespace sluice::table {

// How rows and fold states lie in one ordered space of keys: docs/formats/tables.md.
std::string row_key(std::uint32_t slot, std::string_view key);
std::string slot_end(std::uint32_t slot);  // beyond all rows of the slot
std::string fold_key(std::uint32_t slot);  // beyond all rows of all slots
inline std::string_view key_of_row(std::string_view stored) { return stored.substr(2); }

Buffer encode_fold_state(const FoldState& state);
// Nothing: not written by this version.
std::optional<FoldState> decode_fold_state(Bytes value);

}  // namespace sluice::table
