#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <unordered_map>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace sluice::log {

// What an idempotent producer says about a batch (KIP-98).
struct ProducerBatch {
  std::int64_t producer_id = -1;
  std::int16_t epoch = -1;
  std::int32_t base_sequence = -1;
  std::int32_t count = 0;  // offsets that the batch takes

  [[nodiscard]] bool idempotent() const { return producer_id >= 0; }
  // Reads the fields of a validated batch.
  static ProducerBatch of(Bytes batch);
};

// The idempotent producers of one partition: the last five batches of each, as many as a client may
// have in flight. Lives with its partition; a partition without such producers has none.
//
// Bound: `producers_max`; the one unused for longest makes room.
class ProducerTable {
 public:
  static constexpr std::size_t batches_kept = 5;
  static constexpr std::size_t producers_max = 16'384;

  struct Verdict {
    bool duplicate = false;
    Offset original;  // of a duplicate
  };
  // Errors: producer_fenced for an epoch that is over, sequence_gap. A producer that is not known
  // may begin anywhere: its state has expired, or it begins.
  [[nodiscard]] Result<Verdict> check(const ProducerBatch& batch) const;
  // Remembers a batch that check() let pass and that got `base`.
  void add(const ProducerBatch& batch, Offset base, WallMs now);
  // Forgets batches from `end` on, which were refused after all. A producer of which nothing is
  // left is unknown.
  void rollback(Offset end);
  void expire(WallMs used_before);

  [[nodiscard]] bool empty() const { return producers_.empty(); }
  [[nodiscard]] std::size_t size() const { return producers_.size(); }

  // Batches below `end` only. docs/formats/checkpoint.md
  void encode(Writer& writer, Offset end) const;
  static Result<ProducerTable> decode(Reader& reader);

 private:
  struct Batch {
    std::int32_t base_sequence = 0;
    std::int32_t count = 0;
    Offset base;
  };
  struct Producer {
    std::int16_t epoch = -1;
    std::uint8_t batches = 0;  // used places of `last`, oldest first
    std::array<Batch, batches_kept> last;
    WallMs used_at = 0;

    void push(const Batch& batch);
  };
  void make_room();

  std::unordered_map<std::int64_t, Producer> producers_;
};

// Sequences run to 2^31-1 and go on at 0.
inline std::int32_t sequence_after(std::int32_t base, std::int32_t count) {
  return static_cast<std::int32_t>(
      (static_cast<std::uint32_t>(base) + static_cast<std::uint32_t>(count)) & 0x7fff'ffffu);
}

}  // namespace sluice::log
