#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stream/sim_backend_test.h"
#include "table/bytes_test.h"
#include "table/memory_store_test.h"
#include "table/table.h"

namespace sluice::table {

// A simulated machine whose shards have one table, "__test", and a store in memory.
class Machine {
 public:
  Machine(std::uint64_t seed, std::uint32_t shards) : backend(seed, shards) { open(); }
  ~Machine() { tables_.clear(); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void start(std::uint32_t shards) {
    backend.start(shards);
    open();
  }
  Result<void> stop() {
    auto result = stop_tables();
    tables_.clear();
    const auto stopped = backend.stop();
    SLUICE_ASSERT(stopped);
    return result;
  }
  Result<void> stop_tables() {
    Result<void> first;
    for (std::uint32_t i = 0; i < backend.shards(); ++i) {
      auto stopped =
          await<void>(i, [](Table& table, Done<void> done) { table.stop(std::move(done)); });
      if (!stopped && first) first = std::move(stopped);
    }
    return first;
  }
  // The machine loses power; the store what was not flushed.
  void crash() {
    backend.world->power_off();
    tables_.clear();
    backend.crash();
    store->crash();
  }

  [[nodiscard]] std::uint32_t shard_of(std::uint32_t slot) const {
    return shard_of_slot(slot, backend.shards()).value;
  }
  Table& table(std::uint32_t slot) { return *tables_[shard_of(slot)]; }
  // Runs `work` in a turn of the slot's shard.
  void at(std::uint32_t slot, Task work) {
    bool ran = false;
    backend.post({shard_of(slot)}, [&, work = std::move(work)]() mutable {
      work();
      ran = true;
    });
    SLUICE_ASSERT(backend.run_until([&] { return ran; }));
  }

  template <class T>
  Result<T> await(std::uint32_t shard, std::move_only_function<void(Table&, Done<T>)> call) {
    auto answer = std::make_shared<std::optional<Result<T>>>();
    backend.post({shard}, [this, shard, answer, call = std::move(call)]() mutable {
      call(*tables_[shard], [answer](Result<T> result) { answer->emplace(std::move(result)); });
    });
    if (!backend.run_until([&] { return answer->has_value(); }))
      return fail(Errc::closed, "there was no answer");
    return std::move(**answer);
  }

  Result<void> put(std::uint32_t slot, const std::string& key, std::optional<std::string> value) {
    return await<void>(shard_of(slot), [=](Table& table, Done<void> done) {
      table.put(slot, key, value ? std::optional(bytes(*value)) : std::nullopt, std::move(done));
    });
  }
  void put_behind(std::uint32_t slot, const std::string& key, std::optional<std::string> value) {
    at(slot, [=, this] {
      table(slot).put_behind(slot, key, value ? std::optional(bytes(*value)) : std::nullopt);
    });
  }
  Result<void> flush(std::uint32_t slot) {
    return await<void>(shard_of(slot),
                       [=](Table& table, Done<void> done) { table.flush(slot, std::move(done)); });
  }
  std::optional<std::string> get(std::uint32_t slot, const std::string& key) {
    const auto found = await<std::optional<Buffer>>(
        shard_of(slot), [=](Table& table, Done<std::optional<Buffer>> done) {
          table.get(slot, key, std::move(done));
        });
    if (!found) {
      ADD_FAILURE() << found.error().text;
      return std::nullopt;
    }
    if (!*found) return std::nullopt;
    return std::string(as_text(**found));
  }
  Result<Portion> scan(std::uint32_t slot, const Range& range) {
    return await<Portion>(shard_of(slot), [=](Table& table, Done<Portion> done) {
      table.scan(slot, range, std::move(done));
    });
  }
  // All rows of a slot, read in small portions.
  std::map<std::string, std::string> rows(std::uint32_t slot) {
    std::map<std::string, std::string> all;
    Range range{.from = {}, .until = {}, .rows_max = 3};
    while (true) {
      auto portion = scan(slot, range);
      if (!portion) {
        ADD_FAILURE() << portion.error().text;
        return all;
      }
      for (const auto& row : portion->rows) all.emplace(row.key, as_text(row.value));
      if (!portion->next) return all;
      EXPECT_GT(*portion->next, range.from);
      range.from = *portion->next;
    }
  }

  stream::SimBackend backend;
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
  std::deque<Metrics> metrics;

 private:
  // All shards at once, so that they race for the stream.
  void open() {
    metrics.resize(std::max<std::size_t>(metrics.size(), backend.shards()));
    std::size_t opened = 0;
    for (std::uint32_t i = 0; i < backend.shards(); ++i) {
      tables_.push_back(std::make_unique<Table>(Table::Context{&backend.world->loop(i),
                                                               &backend.stream({i}),
                                                               store,
                                                               &metrics[i],
                                                               {i},
                                                               backend.shards()},
                                                "__test"));
      backend.post({i}, [this, i, &opened] {
        tables_[i]->open([&](const Result<void>& result) {
          EXPECT_TRUE(result) << result.error().text;
          ++opened;
        });
      });
    }
    const bool all = backend.run_until([&] { return opened == backend.shards(); });
    SLUICE_ASSERT(all);
  }

  std::vector<std::unique_ptr<Table>> tables_;
};

}  // namespace sluice::table
