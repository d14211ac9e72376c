#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/metrics.h"
#include "log/batch_layout.h"
#include "log/compression.h"
#include "log/log.h"
#include "log/record_batch.h"
#include "sim/disk.h"
#include "sim/world.h"

namespace sluice::log {

// A batch as a producer sends it. `producer` < 0: not idempotent.
struct TestBatch {
  static constexpr std::string_view null = "(null)";  // as a value

  std::vector<std::string> values;
  WallMs timestamp = 1000;
  std::int64_t producer = -1;
  std::int32_t sequence = -1;
  std::int16_t epoch = 0;
  std::vector<std::string> keys{};  // one for each value; none: null
  Compression codec = Compression::none;
};

inline std::shared_ptr<Block> make_block(const TestBatch& batch) {
  BatchBuilder builder;
  for (std::size_t i = 0; i < batch.values.size(); ++i) {
    const bool keyed = i < batch.keys.size();
    const Bytes key = keyed ? as_bytes(batch.keys[i]) : Bytes();
    builder.add(batch.timestamp, {.key = key,
                                  .value = as_bytes(batch.values[i]),
                                  .headers = {},
                                  .key_hash = static_cast<std::uint32_t>(hash64(key)),
                                  .null_key = !keyed,
                                  .null_value = batch.values[i] == TestBatch::null});
  }
  auto block = builder.finish();
  if (batch.producer < 0 && batch.codec == Compression::none) return block;
  Buffer bytes(block->bytes().begin(), block->bytes().end());
  if (batch.codec != Compression::none) {
    const Buffer packed = *compress(batch.codec, Bytes(bytes).subspan(batch_header_size));
    bytes.resize(batch_header_size);
    append(bytes, packed);
    store_be<std::int32_t>(bytes.data() + layout::batch_length,
                           static_cast<std::int32_t>(bytes.size() - batch_length_offset));
    store_be<std::int16_t>(bytes.data() + layout::attributes,
                           static_cast<std::int16_t>(batch.codec));
  }
  if (batch.producer >= 0) {
    store_be<std::int64_t>(bytes.data() + layout::producer_id, batch.producer);
    store_be<std::int16_t>(bytes.data() + layout::producer_epoch, batch.epoch);
    store_be<std::int32_t>(bytes.data() + layout::base_sequence, batch.sequence);
  }
  seal_batch(bytes);
  return std::make_shared<Block>(std::move(bytes));
}

struct Seen {
  std::int64_t offset;
  std::string value;
  friend bool operator==(const Seen&, const Seen&) = default;
};

inline void append_records(const std::vector<BlockRef>& blocks, std::vector<Seen>& out) {
  for (const BlockRef& stored : blocks) {
    Block block(Buffer(stored->bytes().begin(), stored->bytes().end()));
    if (!block.index_records(1 << 20)) continue;
    for (const Record& record : block.records())
      out.push_back(
          {block.from().value + record.offset_delta, std::string(as_text(block.value(record)))});
  }
}

// A machine with a disk and the logs of its shards: may be started, stopped, killed and crash.
class LogMachine final : public CommitSink {
 public:
  explicit LogMachine(std::uint64_t seed, Options options = small_options(),
                      std::uint32_t shards = 1)
      : options_(options), shards_(shards), seed_(seed), disk_(seed), view_(&disk_) {}
  ~LogMachine() { power_off(); }
  LogMachine(const LogMachine&) = delete;
  LogMachine& operator=(const LogMachine&) = delete;

  // So small that segments roll and journals turn over within a test.
  static Options small_options() {
    Options options;
    options.segment_size = 2048;
    options.journal_size = 64 * 1024;
    options.journal_files = 3;
    options.tail_cache_size = 16 * 1024;
    options.read_cache_size = 32 * 1024;
    options.read_chunk_size = 4096;
    return options;
  }
  // Almost all is read from the segments.
  static Options uncached_options() {
    Options options = small_options();
    options.tail_cache_size = 1024;
    return options;
  }

  Result<void> start() {
    SLUICE_TRY_ASSIGN(recovery_, Recovery::run(*view_, options_, shards_));
    world_ = std::make_unique<sim::SimWorld>(++seed_, shards_);
    for (std::uint32_t i = 0; i < shards_; ++i) {
      metrics_.push_back(std::make_unique<Metrics>());
      const Log::Context context{&world_->loop(i), view_, metrics_.back().get(), this};
      logs_.push_back(std::make_unique<Log>(context, options_, ShardId{i}, *recovery_));
    }
    return {};
  }

  Result<void> stop() {
    std::size_t stopped = 0;
    Result<void> result;
    for (auto& log : logs_) {
      log->stop([&](Result<void> done) {
        ++stopped;
        if (!done) result = std::move(done);
      });
    }
    world_->run_until([&] { return stopped == logs_.size(); });
    power_off();
    disk_.kill();  // a process that ends leaves the disk as one that is killed
    return result;
  }
  void kill() {
    if (world_) world_->power_off();
    power_off();
    disk_.kill();
  }
  void crash() {
    if (world_) world_->power_off();
    power_off();
    disk_.crash();
  }

  Log& log(Partition partition) { return *logs_[Recovery::owner(partition, shards_).value]; }
  Log& log() { return *logs_[0]; }
  sim::SimWorld& world() { return *world_; }
  sim::SimDisk& disk() { return disk_; }
  Recovery& recovery() { return *recovery_; }
  Options& options() { return options_; }
  void set_shards(std::uint32_t shards) { shards_ = shards; }
  // What the logs see in place of the disk.
  void set_view(Disk& view) { view_ = &view; }
  std::map<Partition, std::vector<Seen>>& committed() { return committed_; }
  std::uint64_t corrupt_batches() { return count("sluice_log_corrupt_batches_total"); }
  // A counter of the first shard.
  std::uint64_t count(std::string_view counter, std::string_view labels = {}) {
    return metrics_[0]->counter(counter, "", labels).value();
  }

  Result<Appended> append(Partition partition, const TestBatch& batch) {
    return await<Appended>(
        [&](auto done) { log(partition).append(partition, make_block(batch), std::move(done)); });
  }
  Result<ReadAnswer> read(Partition partition, Offset from, std::size_t bytes_max = 1 << 20,
                          const KeyHintRef& hint = nullptr) {
    return await<ReadAnswer>(
        [&](auto done) { log(partition).read(partition, from, bytes_max, hint, std::move(done)); });
  }
  // All visible records; with a hint, what a reader is given for it.
  Result<std::vector<Seen>> read_all(Partition partition, std::size_t bytes_max = 1 << 20,
                                     const KeyHintRef& hint = nullptr) {
    std::vector<Seen> seen;
    SLUICE_TRY_ASSIGN(const Bounds bounds, log(partition).bounds(partition));
    for (Offset next = bounds.start; next < bounds.visible_end;) {
      SLUICE_TRY_ASSIGN(const ReadAnswer answer, read(partition, next, bytes_max, hint));
      append_records(answer.blocks, seen);
      next = answer.next;
    }
    return seen;
  }
  Log::Found find_time(Partition partition, WallMs when) {
    return *await<Log::Found>(
        [&](auto done) { log(partition).find_time(partition, when, std::move(done)); });
  }
  // Starts something and runs the world until it answers.
  template <class T, class Start>
  Result<T> await(Start start) {
    auto answer = std::make_unique<Result<T>>();
    bool answered = false;
    start([&](Result<T> done) {
      *answer = std::move(done);
      answered = true;
    });
    wait([&] { return answered; });
    return std::move(*answer);
  }
  void wait(std::move_only_function<bool()> done) {
    wake();
    world_->run_until(std::move(done));
  }
  // Until the write-behind has nothing left to do.
  void settle() {
    wake();
    world_->run_for(std::chrono::seconds(3));
  }
  // A test calls the logs between turns: this gives them the end of one.
  void wake() {
    for (std::uint32_t i = 0; i < shards_; ++i) world_->loop(i).post([] {});
  }

 private:
  void on_commit(Partition partition, const std::shared_ptr<Block>& block) override {
    append_records({block}, committed_[partition]);
  }
  void power_off() {
    logs_.clear();
    recovery_.reset();
    world_.reset();
    metrics_.clear();
  }

  Options options_;
  std::uint32_t shards_;
  std::uint64_t seed_;
  sim::SimDisk disk_;
  Disk* view_;
  std::unique_ptr<sim::SimWorld> world_;
  std::unique_ptr<Recovery> recovery_;
  std::vector<std::unique_ptr<Metrics>> metrics_;
  std::vector<std::unique_ptr<Log>> logs_;
  std::map<Partition, std::vector<Seen>> committed_;
};

}  // namespace sluice::log
