#include "kafka/sim_kafka_test.h"

namespace sluice::kafka {

Buffer make_batch(std::string_view value, Producer producer) {
  log::BatchBuilder builder;
  log::BatchBuilder::Draft draft{};
  draft.value = as_bytes(value);
  draft.null_key = true;
  builder.add(1000, draft);
  const auto block = builder.finish();
  Buffer bytes;
  append(bytes, block->bytes());
  // Where the producer's fields stand in the header of a batch.
  store_be<std::int64_t>(bytes.data() + 43, producer.id);
  store_be<std::int16_t>(bytes.data() + 51, producer.epoch);
  store_be<std::int32_t>(bytes.data() + 53, producer.sequence);
  log::seal_batch(bytes);
  return bytes;
}

}  // namespace sluice::kafka
