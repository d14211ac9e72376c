// A log on a real loop, threads and the real disk: what the simulation, which is one thread, can't
// show. Meant for the thread sanitizer.

#include <gtest/gtest.h>

#include <map>

#include "log/log.h"
#include "log/record_batch.h"
#include "runtime/real_loop.h"
#include "sim/temp_dir.h"

namespace sluice::log {
namespace {

constexpr Partition p0{{7}, 0};
constexpr int count = 3000;
constexpr int keys = 20;

// Appends, and reads from the start to the end again and again, until all is appended and a pass of
// compaction has ended; the last reading begins after that.
class Runner {
 public:
  Runner(runtime::RealLoop& loop, Log& log, Counter& passes)
      : loop_(loop), log_(log), passes_(passes) {}

  void start() {
    append_next();
    read_on({});
  }
  [[nodiscard]] const std::map<std::string, std::string>& map() const { return map_; }

 private:
  void append_next() {
    if (appended_ == count) return;
    const std::string key = fmt::format("k{}", appended_ % keys);
    const std::string value = fmt::format("{}{}", appended_, std::string(200, '.'));
    BatchBuilder builder;
    builder.add(appended_, {.key = as_bytes(key), .value = as_bytes(value), .headers = {}});
    log_.append(p0, builder.finish(), [this](const Result<Appended>& done) {
      ASSERT_TRUE(done || done.error().code == Errc::busy) << done.error().text;
      if (!done) return log_.on_room([this] { append_next(); });
      ++appended_;
      append_next();
    });
  }

  void read_on(Offset from) {
    log_.read(p0, from, 10'000, [this, from](const Result<ReadAnswer>& answer) {
      ASSERT_TRUE(answer) << answer.error().text;
      ASSERT_EQ(answer->skipped, 0u);
      for (const BlockRef& block : answer->blocks) take(*block);
      const bool at_end = answer->next == from;
      loop_.post([this, at_end, next = answer->next] { at_end ? end_round() : read_on(next); });
    });
  }

  void take(const Block& stored) {
    const Block block(Buffer(stored.bytes().begin(), stored.bytes().end()));
    ASSERT_TRUE(block.index_records(1 << 20));
    for (const Record& record : block.records())
      map_[std::string(as_text(block.key(record)))] = as_text(block.value(record));
  }

  void end_round() {
    if (last_round_) {
      return log_.stop([this](const Result<void>& stopped) {
        EXPECT_TRUE(stopped);
        loop_.stop();
      });
    }
    last_round_ = appended_ == count && passes_.value() > 0;
    if (appended_ == count && !last_round_) log_.apply_retention();
    map_.clear();
    read_on({});
  }

  runtime::RealLoop& loop_;
  Log& log_;
  Counter& passes_;
  int appended_ = 0;
  bool last_round_ = false;
  std::map<std::string, std::string> map_;
};

TEST(LogThreads, CompactionGoesOnBesideAppendsAndReads) {
  const sim::TempDir root;
  const auto disk = open_os_disk(root.path().string());
  ASSERT_TRUE(disk);
  const auto loop = runtime::RealLoop::create();
  Metrics metrics;
  Options options;
  options.durability = Durability::os;
  options.segment_size = 32 << 10;
  options.journal_size = 1 << 20;
  options.tail_cache_size = 64 << 10;
  options.read_cache_size = 128 << 10;
  options.read_chunk_size = 16 << 10;
  options.checkpoint_interval = std::chrono::milliseconds(20);
  options.retention_interval = std::chrono::milliseconds(10);
  const auto recovered = Recovery::run(**disk, options, 1);
  ASSERT_TRUE(recovered);
  Log log({loop.get(), disk->get(), &metrics, nullptr}, options, {}, **recovered);
  log.open(p0, {.compact = true});
  Runner runner(*loop, log, metrics.counter("sluice_log_compactions_total", ""));
  loop->post_from_outside([&] { runner.start(); });
  loop->run();
  ASSERT_EQ(runner.map().size(), static_cast<std::size_t>(keys));
  for (int i = count - keys; i < count; ++i)
    EXPECT_TRUE(runner.map().at(fmt::format("k{}", i % keys)).starts_with(fmt::format("{}.", i)));
}

}  // namespace
}  // namespace sluice::log
