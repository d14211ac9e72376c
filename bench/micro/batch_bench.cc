#include <string>
#include <vector>

#include "base/hash.h"
#include "log/record_batch.h"
#include "suite.h"

namespace sluice::micro {
namespace {

// A batch of `records` with payloads of 100 bytes, as a turn of the hub makes it.
void build_batch(Measure& measure, std::size_t records) {
  const std::string key = "site/plant-7/line-3/machine-42/temperature";
  const std::string value(100, 'p');
  const log::BatchBuilder::Draft draft{
      .key = as_bytes(key),
      .value = as_bytes(value),
      .headers = {},
      .key_hash = static_cast<std::uint32_t>(hash64(as_bytes(key)))};
  log::BatchBuilder builder;
  measure.run(static_cast<std::int64_t>(records), [&] {
    for (std::size_t i = 0; i < records; ++i) builder.add(1'700'000'000'000, draft);
    auto block = builder.finish();
    benchmark::DoNotOptimize(block);
  });
}

}  // namespace

void add_batch(Suite& suite) {
  suite.add("batch: of 1 record", [](Measure& m) { build_batch(m, 1); });
  suite.add("batch: of 64 records", [](Measure& m) { build_batch(m, 64); });
  suite.add("batch: of 1,000 records", [](Measure& m) { build_batch(m, 1'000); });
}

}  // namespace sluice::micro
