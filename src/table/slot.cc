#include "table/slot.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace sluice::table {
namespace {

constexpr std::size_t change_overhead = 64;  // of memory, about; more than of a record

std::size_t size_of(std::string_view key, const std::optional<Buffer>& value) {
  return key.size() + (value ? value->size() : 0) + change_overhead;
}

log::BatchBuilder::Draft draft(std::string_view key, const std::optional<Buffer>& value) {
  return {.key = as_bytes(key),
          .value = value ? Bytes(*value) : Bytes(),
          .headers = {},
          .null_value = !value};
}

}  // namespace

void Slot::put(std::string key, std::optional<Buffer> value, Done<void> done) {
  put_bytes_ += size_of(key, value);
  puts_.push_back({++changes_, std::move(key), std::move(value), std::move(done)});
}

void Slot::put_behind(std::string key, std::optional<Buffer> value) {
  const auto [row, is_new] = overlay_.try_emplace(std::move(key));
  if (row->second.waiting != 0) forget_waiting(row);
  row->second.value = std::move(value);
  row->second.waiting = ++changes_;
  behind_bytes_ += size_of(row->first, row->second.value);
  behind_.emplace_hint(behind_.end(), changes_, row);
}

void Slot::flush(Done<void> done) {
  if (behind_.empty()) return done({});
  flushes_.push_back({changes_, std::move(done)});
}

void Slot::forget_waiting(Overlay::iterator row) {
  behind_bytes_ -= size_of(row->first, row->second.value);
  behind_.erase(row->second.waiting);
  row->second.waiting = 0;
}

std::shared_ptr<log::Block> Slot::next_batch(log::BatchBuilder& builder, WallMs now,
                                             std::size_t bytes_max) {
  SLUICE_ASSERT(is_waiting() && !under_way_);
  UnderWay batch;
  auto behind = behind_.begin();
  const auto add = [&](std::uint64_t number, std::string_view key,
                       const std::optional<Buffer>& value) {
    if (!builder.empty() && builder.size() + size_of(key, value) > bytes_max) return false;
    builder.add(now, draft(key, value));
    ++batch.changes;
    batch.last = number;
    return true;
  };
  bool room = true;
  while (room && (batch.puts < puts_.size() || behind != behind_.end())) {
    if (behind == behind_.end() ||
        (batch.puts < puts_.size() && puts_[batch.puts].number < behind->first)) {
      const auto& put = puts_[batch.puts];
      room = add(put.number, put.key, put.value);
      if (room) ++batch.puts;
    } else {
      const auto& [number, row] = *behind;
      room = add(number, row->first, row->second.value);
      if (room) ++behind;
    }
  }
  batch.all = room;
  batch.made = changes_;
  under_way_ = batch;
  return builder.finish();
}

void Slot::commit(const log::Block& block) {
  for (const auto& record : block.records()) {
    if (record.key_at == log::Record::none) continue;
    std::optional<Bytes> value;
    if (record.value_at != log::Record::none) value = block.value(record);
    set_committed(as_text(block.key(record)), value, block.until());
  }
}

void Slot::set_committed(std::string_view key, const std::optional<Bytes>& value, Offset until) {
  auto row = overlay_.find(key);
  if (row == overlay_.end()) row = overlay_.try_emplace(std::string(key)).first;
  auto& entry = row->second;
  ++entry.places;
  committed_.push_back({until, row});
  if (entry.waiting != 0) {
    if (!under_way_ || entry.waiting > under_way_->last) return;  // it was put after this batch
    forget_waiting(row);
  }
  entry.value.reset();
  if (value) entry.value.emplace(value->begin(), value->end());
}

std::vector<Slot::Put> Slot::take_puts() {
  const auto count = static_cast<std::ptrdiff_t>(under_way_->puts);
  std::vector<Put> puts(std::make_move_iterator(puts_.begin()),
                        std::make_move_iterator(puts_.begin() + count));
  puts_.erase(puts_.begin(), puts_.begin() + count);
  for (const auto& put : puts) put_bytes_ -= size_of(put.key, put.value);
  return puts;
}

void Slot::finish() {
  auto puts = take_puts();
  const auto batch = *std::exchange(under_way_, std::nullopt);
  for (auto& put : puts) put.done({});
  if (batch.all) answer_flushes(batch);
}

// A batch that left nothing behind covers whatever was asked before it was made. The flushes are in
// the order of their numbers.
void Slot::answer_flushes(const UnderWay& batch) {
  const auto end = std::ranges::upper_bound(flushes_, batch.made, {}, &Flush::number);
  std::vector<Flush> answered(std::make_move_iterator(flushes_.begin()),
                              std::make_move_iterator(end));
  flushes_.erase(flushes_.begin(), end);
  for (auto& flush : answered) flush.done({});
}

void Slot::fail(const Error& error) {
  auto puts = take_puts();
  under_way_.reset();
  for (auto& put : puts) put.done(std::unexpected(error));
}

void Slot::drop_single(const Error& error) {
  SLUICE_ASSERT(under_way_->changes == 1);
  if (under_way_->puts == 1) return fail(error);
  const auto number = under_way_->last;
  under_way_.reset();
  const auto found = behind_.find(number);
  if (found == behind_.end()) return;  // replaced meanwhile
  const auto row = found->second;
  forget_waiting(row);
  if (row->second.places == 0) overlay_.erase(row);
  for (auto& flush : std::exchange(flushes_, {})) flush.done(std::unexpected(error));
}

void Slot::stored(Offset until) {
  for (; !committed_.empty() && committed_.front().until <= until; committed_.pop_front()) {
    const auto row = committed_.front().row;
    if (--row->second.places == 0 && row->second.waiting == 0) overlay_.erase(row);
  }
}

}  // namespace sluice::table
