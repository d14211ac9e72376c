// Random puts, rows put behind, reads, stops and crashes by seed, on several shards whose number
// changes, against a model. Three laws:
// - what is read is exactly what the calls so far have made visible, at the moment of the answer;
// - after a crash a slot is as some moment of its calls had made it, none later than a change that
//   was acknowledged: nothing of a batch without the rest;
// - after a stop nothing is missing.

#include <gtest/gtest.h>

#include <algorithm>

#include "table/machine_test.h"

namespace sluice::table {
namespace {

using Rows = std::map<std::string, std::string>;

constexpr std::uint32_t slots_used = 5;

// One slot as its calls make it.
class Model {
 public:
  explicit Model(Rows rows = {}) : base_(std::move(rows)) {
    for (const auto& [key, value] : base_) visible_[key] = {value, 0};
  }

  std::uint64_t call(const std::string& key, std::optional<std::string> value, bool behind) {
    calls_.push_back({key, value});
    if (behind) {
      visible_[key] = {std::move(value), calls_.size()};
      last_behind_ = calls_.size();
    }
    return calls_.size();
  }
  void put_done(std::uint64_t number) {
    const auto& [key, value] = calls_[number - 1];
    auto& seen = visible_[key];
    if (seen.number < number) seen = {value, number};
    acknowledged(number);
  }
  void acknowledged(std::uint64_t number) { acknowledged_ = std::max(acknowledged_, number); }
  [[nodiscard]] std::uint64_t calls() const { return calls_.size(); }
  [[nodiscard]] std::uint64_t last_behind() const { return last_behind_; }

  [[nodiscard]] Rows visible() const {
    Rows rows;
    for (const auto& [key, seen] : visible_) {
      if (seen.value) rows[key] = *seen.value;
    }
    return rows;
  }
  [[nodiscard]] Rows after(std::uint64_t number) const {
    Rows rows = base_;
    for (std::uint64_t i = 0; i < number; ++i) {
      const auto& [key, value] = calls_[i];
      if (value) {
        rows[key] = *value;
      } else {
        rows.erase(key);
      }
    }
    return rows;
  }
  [[nodiscard]] bool may_have_become(const Rows& rows) const {
    for (auto number = acknowledged_; number <= calls_.size(); ++number) {
      if (after(number) == rows) return true;
    }
    return false;
  }

 private:
  struct Call {
    std::string key;
    std::optional<std::string> value;
  };
  struct Seen {
    std::optional<std::string> value;
    std::uint64_t number = 0;
  };
  Rows base_;
  std::vector<Call> calls_;
  std::map<std::string, Seen> visible_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t last_behind_ = 0;
};

class Lives {
 public:
  explicit Lives(std::uint64_t seed)
      : random_(seed),
        machine_(seed, 1 + static_cast<std::uint32_t>(seed % 3)),
        models_(slots_used) {}

  void live() {
    for (int life = 0; life < 4; ++life) {
      for (int i = 0; i < 60; ++i) act();
      if (random_.one_in(3)) {
        stop();
      } else {
        crash();
      }
      if (testing::Test::HasFailure()) return;
    }
  }
  int reads_checked = 0;

 private:
  std::uint32_t random_slot() { return static_cast<std::uint32_t>(random_.below(slots_used)) * 7; }
  Model& model(std::uint32_t slot) { return models_[slot / 7]; }

  // Work is posted and not waited for: much is under way at once.
  void act() {
    const auto slot = random_slot();
    const auto kind = random_.below(20);
    const ShardId shard{machine_.shard_of(slot)};
    if (kind < 12) {
      auto key = fmt::format("key{}", random_.below(12));
      std::optional<std::string> value;
      if (!random_.one_in(4))
        value = fmt::format("{}:{}", values_++, std::string(random_.below(60), 'x'));
      machine_.backend.post(
          shard, [this, slot, behind = kind < 7, key, value] { put(slot, key, value, behind); });
    } else if (kind == 12) {
      machine_.backend.post(shard, [this, slot] { flush(slot); });
    } else if (kind < 15) {
      machine_.backend.post(
          shard, [this, slot, key = fmt::format("key{}", random_.below(12))] { get(slot, key); });
    } else if (kind < 18) {
      machine_.backend.post(shard, [this, slot] { scan(slot); });
    } else if (kind == 18) {
      if (random_.one_in(2)) {
        machine_.store->fail_next(1 + static_cast<int>(random_.below(2)));
      } else {
        static_cast<void>(machine_.store->flush());  // it may have been told to fail
      }
    } else {
      machine_.backend.world->run_for(std::chrono::microseconds(random_.below(200'000)));
    }
    if (random_.one_in(3))
      machine_.backend.world->run_for(std::chrono::microseconds(random_.below(2'000)));
  }

  void put(std::uint32_t slot, const std::string& key, const std::optional<std::string>& value,
           bool behind) {
    const auto number = model(slot).call(key, value, behind);
    auto buffer = value ? std::optional(bytes(*value)) : std::nullopt;
    if (behind) return machine_.table(slot).put_behind(slot, key, std::move(buffer));
    machine_.table(slot).put(slot, key, std::move(buffer),
                             [this, slot, number](const Result<void>& done) {
                               ASSERT_TRUE(done) << done.error().text;
                               model(slot).put_done(number);
                             });
  }
  void flush(std::uint32_t slot) {
    const auto number = model(slot).last_behind();
    machine_.table(slot).flush(slot, [this, slot, number](const Result<void>& done) {
      ASSERT_TRUE(done) << done.error().text;
      model(slot).acknowledged(number);
    });
  }

  void get(std::uint32_t slot, const std::string& key) {
    machine_.table(slot).get(slot, key,
                             [this, slot, key](const Result<std::optional<Buffer>>& found) {
                               if (!found) return;  // the store failed
                               const auto rows = model(slot).visible();
                               const auto expected = rows.find(key);
                               ASSERT_EQ(found->has_value(), expected != rows.end()) << key;
                               if (*found) {
                                 EXPECT_EQ(as_text(**found), expected->second);
                               }
                               ++reads_checked;
                             });
  }
  void scan(std::uint32_t slot) {
    Range range;
    range.rows_max = 1 + random_.below(6);
    if (random_.one_in(2)) range.from = fmt::format("key{}", random_.below(12));
    if (random_.one_in(3)) range.until = fmt::format("key{}", random_.below(12));
    machine_.table(slot).scan(slot, range, [this, slot, range](const Result<Portion>& portion) {
      if (!portion) return;
      check_portion(model(slot).visible(), range, *portion);
      ++reads_checked;
    });
  }
  static void check_portion(const Rows& rows, const Range& range, const Portion& portion) {
    Rows expected;
    for (const auto& [key, value] : rows) {
      if (key < range.from || (!range.until.empty() && key >= range.until)) continue;
      if (portion.next && key >= *portion.next) continue;
      expected[key] = value;
    }
    Rows found;
    for (const auto& row : portion.rows) found[row.key] = as_text(row.value);
    EXPECT_EQ(found, expected);
    EXPECT_LE(portion.rows.size(), range.rows_max);
    EXPECT_TRUE(std::ranges::is_sorted(portion.rows, {}, &Row::key));
  }

  void stop() {
    machine_.backend.world->run_for(std::chrono::seconds(3));  // the store works again
    ASSERT_TRUE(machine_.stop());
    machine_.store->crash();
    const int writes = machine_.store->writes;
    start();
    EXPECT_EQ(machine_.store->writes, writes) << "something was folded again";
    for (std::uint32_t i = 0; i < slots_used; ++i) {
      const auto rows = machine_.rows(i * 7);
      EXPECT_EQ(rows, models_[i].after(models_[i].calls()));
      models_[i] = Model(rows);
    }
  }
  void crash() {
    machine_.crash();
    start();
    for (std::uint32_t i = 0; i < slots_used; ++i) {
      const auto rows = machine_.rows(i * 7);
      EXPECT_TRUE(models_[i].may_have_become(rows)) << "slot " << i * 7;
      models_[i] = Model(rows);
    }
  }
  void start() {
    machine_.store->fail_next(0);
    machine_.start(1 + static_cast<std::uint32_t>(random_.below(4)));
  }

  Random random_;
  Machine machine_;
  std::vector<Model> models_;
  std::uint64_t values_ = 0;
};

class TableCrash : public testing::TestWithParam<std::uint64_t> {};

TEST_P(TableCrash, SlotsAreAsTheirCallsMadeThemThroughCrashesAndStops) {
  for (std::uint64_t seed = GetParam(); seed < GetParam() + 25; ++seed) {
    Lives lives(seed);
    lives.live();
    EXPECT_GT(lives.reads_checked, 0);
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TableCrash, testing::Range<std::uint64_t>(0, 200, 25));

}  // namespace
}  // namespace sluice::table
