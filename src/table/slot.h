#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/task.h"
#include "log/block.h"
#include "log/record_batch.h"

namespace sluice::table {

// What one slot of a table holds in memory: changes on their way to the stream, and rows that are
// in the stream but not yet in the store. Knows neither stream nor store; no work of its own.
//
// A change goes: put -> batch -> durable (commit) -> stored. One batch at a time is under way, and
// holds what waits in the order in which it was put; so the order in the stream is that of the
// calls, whatever fails in between. A row put behind is visible at once, any other one when it is
// durable.
class Slot {
 public:
  struct Entry {
    std::optional<Buffer> value;  // none: the row was removed
    std::uint64_t waiting = 0;    // the number of the change that is not durable yet; 0: it is
    std::uint32_t places = 0;     // in committed_: versions that the store lacks
  };
  // Rows that the store does not have, or has as an older version.
  using Overlay = std::map<std::string, Entry, std::less<>>;

  // `put_bytes` is the sum over several slots: bytes of puts that wait or are under way.
  explicit Slot(std::size_t& put_bytes) : put_bytes_(put_bytes) {}

  void put(std::string key, std::optional<Buffer> value, Done<void> done);
  void put_behind(std::string key, std::optional<Buffer> value);
  // `done` runs when all that was put behind before is durable.
  void flush(Done<void> done);

  [[nodiscard]] const Overlay& overlay() const { return overlay_; }
  [[nodiscard]] bool is_waiting() const { return !puts_.empty() || !behind_.empty(); }
  [[nodiscard]] bool has_puts() const { return !puts_.empty(); }
  [[nodiscard]] bool has_flushes() const { return !flushes_.empty(); }
  [[nodiscard]] bool under_way() const { return under_way_.has_value(); }
  // Of changes that are not durable yet.
  [[nodiscard]] std::size_t behind_bytes() const { return behind_bytes_; }

  // The oldest changes that wait, up to `bytes_max` but at least one, as a batch that is now under
  // way. Precondition: is_waiting(), !under_way().
  std::shared_ptr<log::Block> next_batch(log::BatchBuilder& builder, WallMs now,
                                         std::size_t bytes_max);
  // What became visible in the stream: rows are in the overlay from now on.
  void commit(const log::Block& block);
  // The answers to the batch under way. After commit() of it: its puts are done.
  void finish();
  // Nothing of it was appended. Its puts fail, rows put behind wait on.
  void fail(const Error& error);
  // It was refused and will be offered again, perhaps in smaller parts.
  void retry() { under_way_.reset(); }
  // Its only change can never be appended: it is given up.
  void drop_single(const Error& error);
  [[nodiscard]] std::size_t changes_under_way() const { return under_way_->changes; }
  [[nodiscard]] std::size_t puts_under_way() const { return under_way_->puts; }

  // The store has all below `until`.
  void stored(Offset until);

 private:
  struct Put {
    std::uint64_t number;
    std::string key;
    std::optional<Buffer> value;
    Done<void> done;
  };
  struct UnderWay {
    std::size_t puts = 0;     // the first of puts_
    std::size_t changes = 0;  // puts and rows put behind
    std::uint64_t last = 0;   // number of the newest change in it
    std::uint64_t made = 0;   // number of the newest change when it was made
    bool all = false;         // it left nothing behind
  };
  struct Flush {
    std::uint64_t number;  // of the newest change at the time
    Done<void> done;
  };
  struct Committed {
    Offset until;
    Overlay::iterator row;
  };

  void set_committed(std::string_view key, const std::optional<Bytes>& value, Offset until);
  void forget_waiting(Overlay::iterator row);
  std::vector<Put> take_puts();
  void answer_flushes(const UnderWay& batch);

  std::uint64_t changes_ = 0;  // so far: gives them numbers
  std::deque<Put> puts_;
  Overlay overlay_;
  std::map<std::uint64_t, Overlay::iterator> behind_;  // rows put behind and not durable, by number
  std::optional<UnderWay> under_way_;
  std::deque<Committed> committed_;  // rising; the last place of a row drops it
  std::vector<Flush> flushes_;
  std::size_t& put_bytes_;
  std::size_t behind_bytes_ = 0;
};

}  // namespace sluice::table
