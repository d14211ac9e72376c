#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "table/row.h"

namespace sluice::table {

// Up to where a slot was folded, stored with its rows.
struct FoldState {
  StreamId stream;
  Offset next;           // all records below it are in the rows
  WallMs folded_at = 0;  // when that was so
  friend bool operator==(const FoldState&, const FoldState&) = default;
};

// What lies in the store for a slot.
struct KeptSlot {
  std::optional<FoldState> fold;
  bool empty = true;  // no rows
};

struct RowChange {
  std::string_view key;
  std::optional<Bytes> value;  // none: the row goes
};

// Changes of one slot, in order, and where the slot's fold stands after them.
struct SlotChange {
  std::uint32_t slot = 0;
  bool clear = false;  // all rows of the slot go first
  std::vector<RowChange> rows;
  FoldState fold;
};

// Where the rows of all tables of a process lie. A cache: it may lose its newest changes at a
// crash, or all of them, but never a part of a write(), nor an older one and not a newer one; the
// log has the rest.
//
// Threads: any, several at once; calls block and are made on helpers (runtime/worker.h), all but
// get_cached. Nothing is on disk for a table before its first write().
// Errors: io, disk_full, corrupt.
class Store {
 public:
  virtual ~Store() = default;

  virtual Result<KeptSlot> kept(std::string_view table, std::uint32_t slot) = 0;
  virtual Result<void> write(std::string_view table, std::span<const SlotChange> changes) = 0;
  virtual Result<std::optional<Buffer>> get(std::string_view table, std::uint32_t slot,
                                            std::string_view key) = 0;
  virtual Result<Portion> scan(std::string_view table, std::uint32_t slot, const Range& range) = 0;
  // The fold state that a crash right now would leave.
  virtual Result<std::optional<FoldState>> persisted(std::string_view table,
                                                     std::uint32_t slot) = 0;
  // Makes all writes so far durable.
  virtual Result<void> flush() = 0;
};

}  // namespace sluice::table
