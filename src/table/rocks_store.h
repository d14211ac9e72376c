#pragma once

#include <memory>
#include <string>

#include "table/store.h"

namespace sluice::table {

// The rows of all tables of a process in one RocksDB, a column family per table. The directory is
// opened when it is there, or at the first write. Writes don't go through RocksDB's own log: what
// it has not written to its files when the process dies is folded again from the streams.
//
// Memory: 32 MiB of block cache, which holds indexes and filters as well, and write buffers of 8
// MiB, two of them per table at the most. Failure: a directory that can't be opened is reported in
// the log, removed, and begun anew. Format: docs/formats/tables.md
class RocksStore final : public Store {
 public:
  // Nothing touches the disk yet. `directory` need not be there; its parent is.
  explicit RocksStore(std::string directory);
  ~RocksStore() override;

  Result<KeptSlot> kept(std::string_view table, std::uint32_t slot) override;
  Result<void> write(std::string_view table, std::span<const SlotChange> changes) override;
  Result<std::optional<Buffer>> get(std::string_view table, std::uint32_t slot,
                                    std::string_view key) override;
  Result<Portion> scan(std::string_view table, std::uint32_t slot, const Range& range) override;
  Result<std::optional<FoldState>> persisted(std::string_view table, std::uint32_t slot) override;
  Result<void> flush() override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::table
