// Tables on real loops, threads, files and RocksDB: what the simulation can't show.

#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <map>

#include "runtime/mailbox.h"
#include "runtime/shard.h"
#include "sim/temp_dir.h"
#include "stream/embedded.h"
#include "table/bytes_test.h"
#include "table/rocks_store.h"
#include "table/table.h"

namespace sluice::table {
namespace {

namespace fs = std::filesystem;

// A process with one table.
class Process {
 public:
  Process(const fs::path& directory, std::uint32_t shards)
      : shards_(shards),
        mailboxes_(shards_.loops()),
        metrics_(shards),
        store_(std::make_shared<RocksStore>((directory / "tables").string())) {
    disk_ = *open_os_disk(directory.string());
    log::Options options;
    options.journal_size = 1 << 20;
    std::vector<stream::EmbeddedBackend::Shard> places;
    for (std::uint32_t i = 0; i < shards; ++i) places.push_back({&shards_.loop(i), &metrics_[i]});
    backend_ = *stream::EmbeddedBackend::open(*disk_, options, places, mailboxes_);
    for (std::uint32_t i = 0; i < shards; ++i) {
      tables_.push_back(std::make_unique<Table>(
          Table::Context{
              &shards_.loop(i), &backend_->stream({i}), store_, &metrics_[i], {i}, shards},
          "__test"));
    }
    shards_.start();
    for (std::uint32_t i = 0; i < shards; ++i) {
      EXPECT_TRUE(
          await<void>(i, [&](Table& table, Done<void> done) { table.open(std::move(done)); }));
    }
  }
  ~Process() {
    shards_.stop();
    tables_.clear();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void stop() {
    for (std::uint32_t i = 0; i < shards_.count(); ++i) {
      EXPECT_TRUE(
          await<void>(i, [](Table& table, Done<void> done) { table.stop(std::move(done)); }));
    }
    EXPECT_TRUE(
        await<void>(0, [this](Table&, Done<void> done) { backend_->stop(std::move(done)); }));
  }
  [[nodiscard]] std::uint32_t shard_of(std::uint32_t slot) const {
    return shard_of_slot(slot, static_cast<std::uint32_t>(shards_.count())).value;
  }
  template <class T>
  std::future<Result<T>> start(std::uint32_t shard,
                               std::move_only_function<void(Table&, Done<T>)> call) {
    std::promise<Result<T>> promise;
    auto answer = promise.get_future();
    shards_.loop(shard).post_from_outside(
        [this, shard, call = std::move(call), promise = std::move(promise)]() mutable {
          call(*tables_[shard], [promise = std::move(promise)](Result<T> result) mutable {
            promise.set_value(std::move(result));
          });
        });
    return answer;
  }
  template <class T>
  Result<T> await(std::uint32_t shard, std::move_only_function<void(Table&, Done<T>)> call) {
    return start<T>(shard, std::move(call)).get();
  }
  std::future<Result<void>> put(std::uint32_t slot, const std::string& key,
                                const std::string& value, bool behind) {
    return start<void>(shard_of(slot), [=](Table& table, Done<void> done) {
      if (!behind) return table.put(slot, key, bytes(value), std::move(done));
      table.put_behind(slot, key, bytes(value));
      done({});
    });
  }
  std::future<Result<std::optional<Buffer>>> get(std::uint32_t slot, const std::string& key) {
    return start<std::optional<Buffer>>(shard_of(slot),
                                        [=](Table& table, Done<std::optional<Buffer>> done) {
                                          table.get(slot, key, std::move(done));
                                        });
  }
  std::map<std::string, std::string> rows(std::uint32_t slot) {
    std::map<std::string, std::string> all;
    const auto portion = await<Portion>(shard_of(slot), [=](Table& table, Done<Portion> done) {
      table.scan(slot, {}, std::move(done));
    });
    EXPECT_TRUE(portion && !portion->next);
    for (const auto& row : portion->rows) all.emplace(row.key, as_text(row.value));
    return all;
  }

 private:
  runtime::Shards shards_;
  runtime::Mailboxes mailboxes_;
  std::vector<Metrics> metrics_;
  std::shared_ptr<RocksStore> store_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<stream::EmbeddedBackend> backend_;
  std::vector<std::unique_ptr<Table>> tables_;
};

TEST(TableThreads, RowsAreReadAsTheyWereWrittenAndSurviveAStop) {
  const sim::TempDir directory;
  std::map<std::uint32_t, std::map<std::string, std::string>> expected;
  {
    Process process(directory.path(), 2);
    std::vector<std::future<Result<void>>> puts;
    for (int i = 0; i < 2000; ++i) {
      const auto slot = static_cast<std::uint32_t>(i * 7 % 64);
      const auto key = std::to_string(i % 300);
      const auto value = std::to_string(i);
      puts.push_back(process.put(slot, key, value, i % 2 == 0));
      expected[slot][key] = value;
      if (i % 2 != 0) continue;
      const auto found = process.get(slot, key).get();
      ASSERT_TRUE(found && *found);
      EXPECT_EQ(as_text(**found), value) << "put behind, so visible at once";
    }
    for (auto& put : puts) EXPECT_TRUE(put.get());
    for (const auto& [slot, rows] : expected) EXPECT_EQ(process.rows(slot), rows);
    process.stop();
  }
  EXPECT_TRUE(fs::exists(directory.path() / "tables"));
  Process process(directory.path(), 1);
  for (const auto& [slot, rows] : expected) EXPECT_EQ(process.rows(slot), rows);
  process.stop();
}

TEST(TableThreads, ADeletedStoreIsMadeAgain) {
  const sim::TempDir directory;
  {
    Process process(directory.path(), 1);
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(process.put(3, std::to_string(i), "v", false).get());
    process.stop();
  }
  fs::remove_all(directory.path() / "tables");
  Process process(directory.path(), 2);
  EXPECT_EQ(process.rows(3).size(), 100u);
  process.stop();
}

}  // namespace
}  // namespace sluice::table
