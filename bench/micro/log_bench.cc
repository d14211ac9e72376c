#include <memory>
#include <string>

#include "base/assert.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "sim/disk.h"
#include "sim/world.h"
#include "suite.h"

namespace sluice::micro {
namespace {

constexpr Partition partition{StreamId{1}, 0};
constexpr std::size_t batch_records = 64;

Buffer make_batch() {
  const std::string value(100, 'p');
  log::BatchBuilder builder;
  for (std::size_t i = 0; i < batch_records; ++i)
    builder.add(1000, {.key = as_bytes("machine-42"), .value = as_bytes(value), .headers = {}});
  const auto block = builder.finish();
  return Buffer(block->bytes().begin(), block->bytes().end());
}

log::Options log_options() {
  log::Options options;
  options.journal_size = 4 << 20;  // all zeroed within the first calls
  return options;
}

// The log of one shard on the simulated loop and disk, which are counted with it.
class Bench final : public log::CommitSink {
 public:
  Bench() {
    auto recovered = log::Recovery::run(disk_, log_options(), 1);
    SLUICE_ASSERT(recovered);
    recovery_ = std::move(*recovered);
    log_ = std::make_unique<log::Log>(
        log::Log::Context{
            .loop = &world_.loop(0), .disk = &disk_, .metrics = &metrics_, .sink = this},
        log_options(), ShardId{0}, *recovery_);
    log_->open(partition, {});
  }

  // A batch as a Kafka client sends it, until it is durable.
  void append() {
    const std::uint64_t wanted = committed_ + 1;
    world_.loop(0).post([&] {
      log_->append(partition, std::make_shared<log::Block>(batch_),
                   [](const Result<log::Appended>& done) { SLUICE_ASSERT(done); });
    });
    SLUICE_ASSERT(world_.run_until([&] { return committed_ == wanted; }));
  }

  // From the tail cache, which answers at once.
  void read(Offset from, std::size_t bytes_max) {
    bool answered = false;
    log_->read(partition, from, bytes_max, [&](const Result<log::ReadAnswer>& answer) {
      SLUICE_ASSERT(answer && !answer->blocks.empty());
      answered = true;
    });
    SLUICE_ASSERT(answered);
  }

  void on_commit(Partition, const std::shared_ptr<log::Block>&) override { ++committed_; }

 private:
  const Buffer batch_ = make_batch();
  sim::SimDisk disk_{1};
  sim::SimWorld world_{1, 1};
  Metrics metrics_;
  std::unique_ptr<log::Recovery> recovery_;
  std::unique_ptr<log::Log> log_;
  std::uint64_t committed_ = 0;
};

void append(Measure& measure) {
  Bench log;
  measure.run(1, [&] { log.append(); });
}

void read(Measure& measure, std::size_t bytes_max) {
  constexpr std::int64_t batches = 256;
  Bench log;
  for (std::int64_t i = 0; i < batches; ++i) log.append();
  measure.run(1, [&] { log.read({batches / 2 * std::int64_t{batch_records}}, bytes_max); });
}

}  // namespace

void add_log(Suite& suite) {
  suite.add("log: append a batch of 64 records, until durable", append);
  suite.add("log: read 1 batch, tail cache", [](Measure& m) { read(m, 1); });
  suite.add("log: read 256 KiB, tail cache", [](Measure& m) { read(m, 256 << 10); });
}

}  // namespace sluice::micro
