#include "stream/contract_test.h"

#include <algorithm>
#include <string>

// What stream.h promises, for every backend. Nothing here knows which one is below.

namespace sluice::stream {
namespace {

class RecordingCatalogueSink final : public CatalogueSink {
 public:
  void on_stream_added(const StreamInfo& stream) override { events.push_back("+" + stream.name); }
  void on_stream_removed(const StreamInfo& stream) override { events.push_back("-" + stream.name); }
  void on_stream_changed(const StreamInfo& before, const StreamInfo& now) override {
    EXPECT_EQ(before.name, now.name);
    EXPECT_EQ(before.id, now.id);
    EXPECT_LE(before.config.partitions, now.config.partitions);
    changed = now.config;
  }
  std::vector<std::string> events;
  std::optional<StreamConfig> changed;  // the last change
};

TEST_P(StreamContract, WhatIsAppendedIsReadInOrderOnEveryShard) {
  const auto backend = GetParam().make();
  const auto made = create(*backend, "sensors", {.partitions = 4});
  ASSERT_TRUE(made) << made.error().text;
  for (std::uint32_t index = 0; index < 4; ++index) {
    const Partition partition{made->id, index};
    Producer producer(*backend, {index % backend->shards()}, partition, 30);
    ASSERT_TRUE(backend->run_until([&] { return producer.finished(); }));
    for (const auto shard : all_shards(*backend)) {
      EXPECT_EQ(read_values(*backend, shard, partition), numbers(30));
    }
  }
}

TEST_P(StreamContract, AppendsAreAnsweredInTheOrderOfTheCallsWithRisingOffsets) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  for (const auto shard : all_shards(*backend)) {
    std::size_t appended = 0;
    std::vector<std::size_t> answered;
    Offset last{-1};
    backend->post(shard, [&] {
      auto& stream = backend->stream(shard);
      for (; appended < 10 && stream.has_room(partition); ++appended) {
        stream.append(partition, batch({"x", "y"}), [&, i = appended](Result<Appended> done) {
          ASSERT_TRUE(done) << done.error().text;
          EXPECT_GT(done->first, last);
          last = done->first;
          answered.push_back(i);
        });
      }
    });
    ASSERT_TRUE(backend->run_until([&] { return appended > 0 && answered.size() == appended; }));
    EXPECT_TRUE(std::ranges::is_sorted(answered));
  }
}

TEST_P(StreamContract, AnAcknowledgedRecordIsVisible) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  for (const auto shard : all_shards(*backend)) {
    const auto appended = append(*backend, shard, partition, {"a"});
    ASSERT_TRUE(appended) << appended.error().text;
    EXPECT_GT(bounds(*backend, shard, partition)->visible_end, appended->first);
  }
}

TEST_P(StreamContract, ATailHasNeitherGapNorRepeatWhileAppendsGoOn) {
  constexpr int count = 200;
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  Producer producer(*backend, {backend->shards() - 1}, partition, count);
  std::vector<std::unique_ptr<Follower>> followers;
  for (const auto shard : all_shards(*backend)) {
    // The later ones begin in the middle of the appends.
    const auto end = bounds(*backend, shard, partition)->visible_end;
    ASSERT_TRUE(backend->run_until([&] {
      return producer.finished() || end < bounds(*backend, shard, partition)->visible_end;
    }));
    followers.push_back(std::make_unique<Follower>(*backend, shard, partition));
  }
  for (const auto& follower : followers) {
    ASSERT_TRUE(backend->run_until([&] { return follower->values.size() >= count; }));
    EXPECT_EQ(follower->values, numbers(count));
  }
}

TEST_P(StreamContract, AnUntailedSinkHearsNothingAndMayTailAgain) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  for (const auto shard : all_shards(*backend)) {
    auto& stream = backend->stream(shard);
    const auto start = bounds(*backend, shard, partition)->visible_end;
    Follower first(*backend, shard, partition, start);
    ASSERT_TRUE(append(*backend, {}, partition, {"a"}));
    ASSERT_TRUE(backend->run_until([&] { return first.values.size() == 1; }));
    backend->post(shard, [&] { stream.untail(partition); });
    ASSERT_TRUE(append(*backend, shard, partition, {"b"}));

    const auto end = bounds(*backend, shard, partition)->visible_end;
    Follower second(*backend, shard, partition, end);
    ASSERT_TRUE(bounds(*backend, shard, partition));
    ASSERT_TRUE(append(*backend, {}, partition, {"c"}));
    ASSERT_TRUE(backend->run_until([&] { return !second.values.empty(); }));
    EXPECT_EQ(second.values, std::vector<std::string>{"c"});
    EXPECT_EQ(first.values, std::vector<std::string>{"a"});
    ASSERT_TRUE(await<Bounds>(*backend, shard, [&](Stream& here, Done<Bounds> done) {
      here.untail(partition);
      here.bounds(partition, std::move(done));
    }));
  }
}

TEST_P(StreamContract, ATailGivenUpBeforeItsAnswerIsAnsweredOnce) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  class Silent final : public TailSink {
    void on_block(Partition, const BlockRef&) override { ADD_FAILURE(); }
    void on_behind(Partition, Offset) override { ADD_FAILURE(); }
  } sink;
  for (const auto shard : all_shards(*backend)) {
    int answers = 0;
    backend->post(shard, [&] {
      backend->stream(shard).tail(partition, sink, [&](const Result<Offset>& answer) {
        ++answers;
        EXPECT_TRUE(answer || answer.error().code == Errc::closed);
      });
      backend->stream(shard).untail(partition);
    });
    ASSERT_TRUE(append(*backend, shard, partition, {"a"}));
    EXPECT_TRUE(backend->run_until([&] { return answers == 1; }));
  }
}

TEST_P(StreamContract, AReadFromTheMiddleBeginsWithTheBatchThatHoldsIt) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  ASSERT_TRUE(append(*backend, {}, partition, {"a", "b"}));
  const auto second = append(*backend, {}, partition, {"c", "d", "e"});
  ASSERT_TRUE(second);
  for (const auto shard : all_shards(*backend)) {
    const auto middle = second->first + 1;
    const auto answer = read(*backend, shard, partition, middle);
    ASSERT_TRUE(answer) << answer.error().text;
    ASSERT_FALSE(answer->blocks.empty());
    EXPECT_LE(answer->blocks.front()->from(), middle);
    EXPECT_GT(answer->blocks.front()->until(), middle);
    EXPECT_EQ(read_values(*backend, shard, partition, middle),
              (std::vector<std::string>{"d", "e"}));
  }
}

// The law of hints, whether the backend makes something of them or not.
TEST_P(StreamContract, AReadWithAHintGivesAllThatIsWantedAndComesToTheEnd) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  const auto key_of = [](std::uint64_t i) { return "plant/" + std::to_string(i) + "/value"; };
  std::vector<std::string> keys;
  for (int i = 0; i < 250; ++i) {
    std::vector<KeyValue> records;
    for (std::uint64_t n = 1 + backend->random(3); n > 0; --n) {
      keys.push_back(key_of(backend->random(30)));
      records.push_back({keys.back(), std::to_string(keys.size()) + std::string(300, '.')});
    }
    ASSERT_TRUE(backend->run_until([&] { return backend->stream({}).has_room(partition); }));
    const auto appended = await<Appended>(*backend, {}, [&](Stream& stream, Done<Appended> done) {
      stream.append(partition, keyed_batch(records), std::move(done));
    });
    ASSERT_TRUE(appended) << appended.error().text;
  }
  for (const auto shard : all_shards(*backend)) {
    const std::string key = key_of(backend->random(30));
    const std::string prefix = "plant/" + std::to_string(backend->random(3));
    const auto hint = std::make_shared<const KeyHint>(KeyHint{{key}, {prefix}});
    std::vector<std::string> wanted;
    for (const std::string& one : keys)
      if (one == key || one.starts_with(prefix)) wanted.push_back(one);
    std::vector<std::string> given;
    const auto range = bounds(*backend, shard, partition).value();
    for (Offset next = range.start; next < range.visible_end;) {
      const auto answer =
          await<ReadAnswer>(*backend, shard, [&](Stream& stream, Done<ReadAnswer> done) {
            stream.read(partition, next, 2000, Want::records, hint, std::move(done));
          });
      ASSERT_TRUE(answer) << answer.error().text;
      ASSERT_GT(answer->next, next);
      for (const auto& block : answer->blocks)
        for (const auto& record : block->records()) {
          const std::string one(as_text(block->key(record)));
          const bool is_new = block->from() + record.offset_delta >= next;
          if (is_new && (one == key || one.starts_with(prefix))) given.push_back(one);
        }
      next = answer->next;
    }
    EXPECT_EQ(given, wanted);
  }
}

TEST_P(StreamContract, AReadAtTheEndIsEmptyAndOutsideTheBoundsAnError) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  ASSERT_TRUE(append(*backend, {}, partition, {"a"}));
  for (const auto shard : all_shards(*backend)) {
    const auto range = bounds(*backend, shard, partition).value();
    const auto at_end = read(*backend, shard, partition, range.visible_end);
    ASSERT_TRUE(at_end) << at_end.error().text;
    EXPECT_TRUE(at_end->blocks.empty());
    EXPECT_EQ(at_end->next, range.visible_end);

    for (const auto outside : {range.start + -1, range.visible_end + 1}) {
      const auto answer = read(*backend, shard, partition, outside);
      ASSERT_FALSE(answer);
      EXPECT_EQ(answer.error().code, Errc::out_of_range);
    }
  }
}

TEST_P(StreamContract, ResolvesTheEndsAndTimes) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  ASSERT_TRUE(append(*backend, {}, partition, {"a"}, 1000));
  const auto latest_time = append(*backend, {}, partition, {"b"}, 3000);
  const auto last = append(*backend, {}, partition, {"c"}, 2000);
  ASSERT_TRUE(latest_time && last);
  for (const auto shard : all_shards(*backend)) {
    const auto resolve = [&](Start start, WallMs when = 0) {
      const auto answer =
          await<Resolved>(*backend, shard, [&](Stream& stream, Done<Resolved> done) {
            stream.resolve(partition, start, when, std::move(done));
          });
      EXPECT_TRUE(answer) << answer.error().text;
      return answer.value_or(Resolved{});
    };
    const auto range = bounds(*backend, shard, partition).value();
    EXPECT_EQ(resolve(Start::earliest).next, range.start);
    EXPECT_EQ(resolve(Start::latest).next, range.visible_end);
    EXPECT_EQ(resolve(Start::at_time, 1500).next, latest_time->first);
    EXPECT_EQ(resolve(Start::at_time, 1500).timestamp, 3000);
    EXPECT_EQ(resolve(Start::at_time, 3001).next, range.visible_end);
    EXPECT_EQ(resolve(Start::at_time, 3001).timestamp, -1);
    EXPECT_EQ(resolve(Start::max_time).next, latest_time->first);
    EXPECT_EQ(resolve(Start::max_time).timestamp, 3000);
  }
}

TEST_P(StreamContract, TellsWhereTheNewestBytesBeginOrThatItCannot) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  ASSERT_TRUE(append(*backend, {}, partition, {"a"}));
  const auto last = append(*backend, {}, partition, {"b"});
  ASSERT_TRUE(last);
  for (const auto shard : all_shards(*backend)) {
    const auto newest = [&](std::uint64_t bytes) {
      return await<Offset>(*backend, shard, [&](Stream& stream, Done<Offset> done) {
        stream.resolve_newest(partition, bytes, std::move(done));
      });
    };
    const auto of_one_byte = newest(1);
    if (!of_one_byte) {
      EXPECT_EQ(of_one_byte.error().code, Errc::unsupported);
      continue;
    }
    EXPECT_LE(*of_one_byte, last->first);
    EXPECT_EQ(newest(1 << 20), bounds(*backend, shard, partition)->start);
  }
}

TEST_P(StreamContract, ACreatedStreamIsKnownToAllShardsAndCanBeUsedAtOnce) {
  const auto backend = GetParam().make();
  std::vector<RecordingCatalogueSink> sinks(backend->shards());
  for (const auto shard : all_shards(*backend)) {
    backend->stream(shard).watch_catalogue(sinks[shard.value]);
  }
  const StreamConfig config{.partitions = 3, .retention_ms = 5000, .wildcard = true};
  const auto made = create(*backend, "sensors", config, {backend->shards() - 1});
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->config, config);
  for (const auto shard : all_shards(*backend)) {
    const auto* const known = backend->stream(shard).catalogue().find("sensors");
    ASSERT_NE(known, nullptr);
    EXPECT_EQ(known->id, made->id);
    EXPECT_EQ(known->config, config);
    EXPECT_EQ(sinks[shard.value].events, std::vector<std::string>{"+sensors"});
    for (std::uint32_t i = 0; i < 3; ++i)
      EXPECT_TRUE(append(*backend, shard, {made->id, i}, {"a"}));
  }
}

TEST_P(StreamContract, AnAlteredStreamIsKnownToAllShardsAndItsNewPartitionsCanBeUsedAtOnce) {
  const auto backend = GetParam().make();
  constexpr std::int64_t retention_ms = 5'000'000'000'000;  // the records are of 1970
  const auto made = create(*backend, "sensors", {.partitions = 2, .retention_ms = retention_ms});
  ASSERT_TRUE(made) << made.error().text;
  ASSERT_TRUE(append(*backend, {}, {made->id, 1}, {"before"}));
  std::vector<RecordingCatalogueSink> sinks(backend->shards());
  std::vector<std::uint64_t> generations;
  for (const auto shard : all_shards(*backend)) {
    backend->stream(shard).watch_catalogue(sinks[shard.value]);
    generations.push_back(backend->stream(shard).catalogue().generation());
  }
  auto config = made->config;
  config.partitions = 5;
  config.retention_ms = retention_ms + 1;
  const auto altered = alter(*backend, "sensors", config, {backend->shards() - 1});
  ASSERT_TRUE(altered) << altered.error().text;
  EXPECT_EQ(altered->id, made->id);
  EXPECT_EQ(altered->config, config);
  for (const auto shard : all_shards(*backend)) {
    const auto& catalogue = backend->stream(shard).catalogue();
    EXPECT_EQ(catalogue.find("sensors")->config, config);
    EXPECT_EQ(catalogue.find(made->id)->config, config);
    EXPECT_GT(catalogue.generation(), generations[shard.value]);
    EXPECT_EQ(sinks[shard.value].changed, config);
    EXPECT_TRUE(sinks[shard.value].events.empty());
    for (std::uint32_t i = 0; i < 5; ++i)
      EXPECT_TRUE(append(*backend, shard, {made->id, i}, {"after"}));
  }
  EXPECT_EQ(read_values(*backend, {}, {made->id, 1}).front(), "before");
  EXPECT_EQ(read_values(*backend, {}, {made->id, 4}).size(), backend->shards());
}

TEST_P(StreamContract, RefusesToAlterWhatIsNotThereOrCannotBe) {
  const auto backend = GetParam().make();
  ASSERT_TRUE(create(*backend, "sensors", {.partitions = 2}));
  EXPECT_EQ(alter(*backend, "nothing", {}).error().code, Errc::not_found);
  EXPECT_EQ(alter(*backend, "sensors", {.partitions = 1}).error().code, Errc::invalid);
  EXPECT_EQ(alter(*backend, "sensors", {.partitions = 2, .retention_ms = -7}).error().code,
            Errc::invalid);
  EXPECT_EQ(backend->stream({}).catalogue().find("sensors")->config,
            (StreamConfig{.partitions = 2}));
}

TEST_P(StreamContract, OfTwoCreationsOfOneNameOneWins) {
  const auto backend = GetParam().make();
  int made = 0;
  int existed = 0;
  for (const auto shard : {ShardId{0}, ShardId{backend->shards() - 1}}) {
    backend->post(shard, [&, shard] {
      backend->stream(shard).create("sensors", {}, [&](const Result<StreamInfo>& result) {
        if (result) {
          ++made;
        } else {
          EXPECT_EQ(result.error().code, Errc::exists);
          ++existed;
        }
      });
    });
  }
  ASSERT_TRUE(backend->run_until([&] { return made + existed == 2; }));
  EXPECT_EQ(made, 1);
}

TEST_P(StreamContract, RefusesABadNameOrConfiguration) {
  const auto backend = GetParam().make();
  EXPECT_EQ(create(*backend, "a/b").error().code, Errc::invalid);
  EXPECT_EQ(create(*backend, "a", {.partitions = 0}).error().code, Errc::invalid);
}

TEST_P(StreamContract, AStreamMadeAgainUnderItsNameIsAnotherOne) {
  const auto backend = GetParam().make();
  std::vector<RecordingCatalogueSink> sinks(backend->shards());
  for (const auto shard : all_shards(*backend)) {
    backend->stream(shard).watch_catalogue(sinks[shard.value]);
  }
  const auto first = create(*backend, "sensors");
  ASSERT_TRUE(first);
  ASSERT_TRUE(append(*backend, {}, {first->id, 0}, {"old"}));
  const auto removed = remove(*backend, "sensors", {backend->shards() - 1});
  ASSERT_TRUE(removed) << removed.error().text;
  for (const auto shard : all_shards(*backend)) {
    EXPECT_EQ(backend->stream(shard).catalogue().find("sensors"), nullptr);
    EXPECT_EQ(append(*backend, shard, {first->id, 0}, {"x"}).error().code, Errc::not_found);
    EXPECT_EQ(read(*backend, shard, {first->id, 0}, {}).error().code, Errc::not_found);
  }
  const auto second = create(*backend, "sensors");
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_NE(second->id, first->id);
  for (const auto shard : all_shards(*backend)) {
    EXPECT_TRUE(read_values(*backend, shard, {second->id, 0}).empty());
    EXPECT_EQ(sinks[shard.value].events,
              (std::vector<std::string>{"+sensors", "-sensors", "+sensors"}));
  }
  EXPECT_EQ(remove(*backend, "nothing").error().code, Errc::not_found);
}

TEST_P(StreamContract, AWaitRunsOnceWhenTheEndMovesBeyondIt) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  for (const auto shard : all_shards(*backend)) {
    auto& stream = backend->stream(shard);
    const auto end = bounds(*backend, shard, partition)->visible_end;
    int runs = 0;
    int cancelled_runs = 0;
    backend->post(shard, [&] {
      stream.wait_beyond(partition, end + 1000, [] {});  // a farther one first
      stream.wait_beyond(partition, end, [&] { ++runs; });
      stream.wait_beyond(partition, end, [&] { ++runs; });
      stream.cancel(stream.wait_beyond(partition, end, [&] { ++cancelled_runs; }));
    });
    ASSERT_TRUE(append(*backend, {}, partition, {"a"}));
    ASSERT_TRUE(backend->run_until([&] { return runs == 2; }));
    // The end is beyond `end` now.
    backend->post(shard, [&] { stream.wait_beyond(partition, end, [&] { ++runs; }); });
    ASSERT_TRUE(backend->run_until([&] { return runs == 3; }));
    ASSERT_TRUE(append(*backend, {}, partition, {"b"}));
    EXPECT_EQ(runs, 3);
    EXPECT_EQ(cancelled_runs, 0);
  }
}

TEST_P(StreamContract, AStreamRemovedInUseEndsItsTailsWaitsAndReads) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  ASSERT_TRUE(append(*backend, {}, partition, {"a"}));
  const auto end = bounds(*backend, {}, partition)->visible_end;
  std::vector<std::unique_ptr<Follower>> followers;
  std::size_t woken = 0;
  std::size_t reads = 0;
  std::size_t appends = 0;
  for (const auto shard : all_shards(*backend)) {
    followers.push_back(std::make_unique<Follower>(*backend, shard, partition));
    auto& follower = *followers.back();
    ASSERT_TRUE(backend->run_until([&] { return follower.values.size() == 1; }));
    backend->post(shard, [&, shard] {
      backend->stream(shard).wait_beyond(partition, end + 100, [&] { ++woken; });
    });
  }
  std::optional<Result<void>> removed;
  backend->post({}, [&] {
    backend->stream({}).remove("sensors",
                               [&](Result<void> result) { removed = std::move(result); });
  });
  for (const auto shard : all_shards(*backend)) {
    backend->post(shard, [&, shard] {
      auto& stream = backend->stream(shard);
      stream.read(partition, {}, 1000, Want::records, [&](const Result<ReadAnswer>&) { ++reads; });
      stream.append(partition, batch({"b"}), [&](const Result<Appended>&) { ++appends; });
    });
  }
  const auto shards = backend->shards();
  EXPECT_TRUE(backend->run_until(
      [&] { return removed && woken == shards && reads == shards && appends == shards; }));
  EXPECT_TRUE(*removed) << removed->error().text;
  for (const auto shard : all_shards(*backend)) {
    const auto answer = await<Offset>(*backend, shard, [&](Stream& stream, Done<Offset> done) {
      stream.untail(partition);
      stream.tail(partition, *followers[shard.value], std::move(done));
    });
    EXPECT_EQ(answer.error().code, Errc::not_found);
  }
}

TEST_P(StreamContract, AnAppendThatCannotBeSaysWhy) {
  const auto backend = GetParam().make();
  const auto made = create(*backend, "sensors", {.max_message_bytes = 100});
  ASSERT_TRUE(made);
  for (const auto shard : all_shards(*backend)) {
    const auto to = [&](Partition partition, std::size_t size) {
      return append(*backend, shard, partition, {std::string(size, 'x')}).error().code;
    };
    EXPECT_EQ(to({StreamId{77}, 0}, 1), Errc::not_found);
    EXPECT_EQ(to({made->id, 1}, 1), Errc::not_found);
    EXPECT_EQ(to({made->id, 0}, 200), Errc::too_large);
  }
}

}  // namespace
}  // namespace sluice::stream
