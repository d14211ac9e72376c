#include "log/producers.h"

#include <algorithm>

#include "log/batch_layout.h"

namespace sluice::log {

ProducerBatch ProducerBatch::of(Bytes batch) {
  const std::byte* at = batch.data();
  return {.producer_id = load_be<std::int64_t>(at + layout::producer_id),
          .epoch = load_be<std::int16_t>(at + layout::producer_epoch),
          .base_sequence = load_be<std::int32_t>(at + layout::base_sequence),
          .count = load_be<std::int32_t>(at + layout::last_offset_delta) + 1};
}

Result<ProducerTable::Verdict> ProducerTable::check(const ProducerBatch& batch) const {
  if (batch.base_sequence < 0 || batch.epoch < 0) {
    return fail(Errc::malformed, "producer {} has epoch {} and sequence {}", batch.producer_id,
                batch.epoch, batch.base_sequence);
  }
  const auto found = producers_.find(batch.producer_id);
  if (found == producers_.end()) return Verdict{};
  const Producer& producer = found->second;
  if (batch.epoch < producer.epoch) {
    return fail(Errc::producer_fenced, "producer {} has epoch {}, the log has {}",
                batch.producer_id, batch.epoch, producer.epoch);
  }
  if (batch.epoch > producer.epoch) {
    if (batch.base_sequence == 0) return Verdict{};
    return fail(Errc::sequence_gap, "producer {} begins epoch {} at sequence {}", batch.producer_id,
                batch.epoch, batch.base_sequence);
  }
  if (producer.batches == 0) return Verdict{};
  for (std::size_t i = 0; i < producer.batches; ++i) {
    const Batch& known = producer.last[i];
    if (known.base_sequence == batch.base_sequence && known.count == batch.count)
      return Verdict{.duplicate = true, .original = known.base};
  }
  const Batch& last = producer.last[producer.batches - 1u];
  const std::int32_t expected = sequence_after(last.base_sequence, last.count);
  if (batch.base_sequence == expected) return Verdict{};
  return fail(Errc::sequence_gap, "producer {} has sequence {}, expected {}", batch.producer_id,
              batch.base_sequence, expected);
}

void ProducerTable::Producer::push(const Batch& batch) {
  if (batches == batches_kept) {
    std::move(last.begin() + 1, last.end(), last.begin());
    --batches;
  }
  last[batches++] = batch;
}

void ProducerTable::add(const ProducerBatch& batch, Offset base, WallMs now) {
  auto found = producers_.find(batch.producer_id);
  if (found == producers_.end()) {
    if (producers_.size() >= producers_max) make_room();
    found = producers_.try_emplace(batch.producer_id).first;
  }
  Producer& producer = found->second;
  if (batch.epoch != producer.epoch)
    producer = {.epoch = batch.epoch, .batches = 0, .last = {}, .used_at = now};
  producer.used_at = now;
  producer.push({batch.base_sequence, batch.count, base});
}

void ProducerTable::make_room() {
  const auto oldest = std::min_element(
      producers_.begin(), producers_.end(),
      [](const auto& a, const auto& b) { return a.second.used_at < b.second.used_at; });
  producers_.erase(oldest);
}

void ProducerTable::rollback(Offset end) {
  for (auto at = producers_.begin(); at != producers_.end();) {
    Producer& producer = at->second;
    while (producer.batches > 0 && producer.last[producer.batches - 1u].base >= end)
      --producer.batches;
    at = producer.batches == 0 ? producers_.erase(at) : std::next(at);
  }
}

void ProducerTable::expire(WallMs used_before) {
  std::erase_if(producers_,
                [used_before](const auto& entry) { return entry.second.used_at < used_before; });
}

void ProducerTable::encode(Writer& writer, Offset end) const {
  writer.write<std::uint32_t>(static_cast<std::uint32_t>(producers_.size()));
  for (const auto& [id, producer] : producers_) {
    const auto kept = static_cast<std::uint8_t>(
        std::count_if(producer.last.begin(), producer.last.begin() + producer.batches,
                      [end](const Batch& batch) { return batch.base < end; }));
    writer.write<std::int64_t>(id);
    writer.write<std::int16_t>(producer.epoch);
    writer.write<std::int64_t>(producer.used_at);
    writer.write<std::uint8_t>(kept);
    for (std::size_t i = 0; i < kept; ++i) {
      writer.write<std::int32_t>(producer.last[i].base_sequence);
      writer.write<std::int32_t>(producer.last[i].count);
      writer.write<std::int64_t>(producer.last[i].base.value);
    }
  }
}

Result<ProducerTable> ProducerTable::decode(Reader& reader) {
  ProducerTable table;
  const auto count = reader.read<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    Producer& producer = table.producers_[reader.read<std::int64_t>()];
    producer.epoch = reader.read<std::int16_t>();
    producer.used_at = reader.read<std::int64_t>();
    producer.batches = reader.read<std::uint8_t>();
    if (producer.batches > batches_kept)
      return fail(Errc::corrupt, "producer with {} batches", producer.batches);
    for (std::size_t b = 0; b < producer.batches; ++b) {
      producer.last[b].base_sequence = reader.read<std::int32_t>();
      producer.last[b].count = reader.read<std::int32_t>();
      producer.last[b].base = {reader.read<std::int64_t>()};
    }
  }
  if (!reader.ok()) return fail(Errc::corrupt, "producers end early");
  return table;
}

}  // namespace sluice::log
