#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stream/contract_test.h"

// What stream.h promises to those who keep state in streams and derive it from them: deletion,
// compaction, fold and hold. For every backend, as contract_test.cc.

namespace sluice::stream {
namespace {

TEST_P(StreamContract, DeletedRecordsAreOutOfRangeAndTheRestStays) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  ASSERT_TRUE(append(*backend, {}, partition, {"a", "b"}));
  const auto second = append(*backend, {}, partition, {"c", "d", "e"});
  ASSERT_TRUE(second);
  const auto delete_records = [&](ShardId shard, Offset before) {
    return await<Offset>(*backend, shard, [=](Stream& stream, Done<Offset> done) {
      stream.delete_records(partition, before, std::move(done));
    });
  };
  const auto end = bounds(*backend, {}, partition)->visible_end;
  const auto before = second->first + 1;
  const auto start = delete_records({backend->shards() - 1}, before);
  ASSERT_TRUE(start) << start.error().text;
  EXPECT_EQ(*start, before);
  for (const auto shard : all_shards(*backend)) {
    EXPECT_EQ(bounds(*backend, shard, partition)->start, before);
    EXPECT_EQ(bounds(*backend, shard, partition)->visible_end, end);
    EXPECT_EQ(read(*backend, shard, partition, before + -1).error().code, Errc::out_of_range);
    EXPECT_EQ(read_values(*backend, shard, partition, before),
              (std::vector<std::string>{"d", "e"}));
    EXPECT_EQ(delete_records(shard, end + 1).error().code, Errc::out_of_range);
    EXPECT_EQ(delete_records(shard, before + -1), before) << "a start never falls";
  }
  EXPECT_EQ(delete_records({}, end), end);
  EXPECT_TRUE(read_values(*backend, {}, partition, end).empty());
  ASSERT_TRUE(append(*backend, {}, partition, {"f"}));
  EXPECT_EQ(read_values(*backend, {}, partition, end), std::vector<std::string>{"f"});
  EXPECT_EQ(await<Offset>(*backend, {},
                          [](Stream& stream, Done<Offset> done) {
                            stream.delete_records({StreamId{77}, 0}, {}, std::move(done));
                          })
                .error()
                .code,
            Errc::not_found);
}

// Appends a batch of its own records and waits.
Result<Appended> append_records(TestBackend& backend, ShardId shard, Partition partition,
                                const std::vector<KeyValue>& records) {
  return await<Appended>(backend, shard, [=](Stream& stream, Done<Appended> done) {
    stream.append(partition, keyed_batch(records), std::move(done));
  });
}

TEST_P(StreamContract, ACompactedStreamKeepsTheNewestValueOfEachKey) {
  const auto backend = GetParam().make();
  const auto made = create(*backend, "table", {.compact = true, .expire = false});
  ASSERT_TRUE(made) << made.error().text;
  const auto partition = only_partition(made);
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 100; ++i) {
    const auto key = fmt::format("k{}", i % 7);
    const auto appended = append_records(*backend, {}, partition, {{key, std::to_string(i)}});
    ASSERT_TRUE(appended) << appended.error().text;
    expected[key] = std::to_string(i);
  }
  ASSERT_TRUE(append_records(*backend, {}, partition, {{"k3", std::nullopt}}));
  expected.erase("k3");
  for (const auto shard : all_shards(*backend))
    EXPECT_EQ(read_map(*backend, shard, partition), expected);
}

TEST_P(StreamContract, ARecordWithoutAKeyIsRefusedByACompactedStream) {
  const auto backend = GetParam().make();
  const auto compacted = create(*backend, "table", {.compact = true, .expire = false});
  const auto plain = create(*backend, "plain");
  ASSERT_TRUE(compacted && plain);
  for (const auto shard : all_shards(*backend)) {
    const std::vector<KeyValue> records{{"a", "1"}, {std::nullopt, "2"}};
    const auto refused = append_records(*backend, shard, {compacted->id, 0}, records);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid);
    EXPECT_TRUE(append_records(*backend, shard, {plain->id, 0}, records));
  }
}

// What a fold has seen, and what it must have seen when others hear of it.
class RecordingFold final : public CommitSink, public TailSink {
 public:
  void on_commit(Partition, const std::shared_ptr<Block>& block) override {
    EXPECT_GE(block->from(), folded);
    folded = block->until();
    ++blocks;
  }
  void on_block(Partition, const BlockRef& block) override {
    EXPECT_GE(folded, block->until()) << "a tail knows more than the fold";
    tailed = block->until();
  }
  void on_behind(Partition, Offset) override { ADD_FAILURE() << "a tail of few records"; }

  Offset folded;
  Offset tailed;
  int blocks = 0;
};

TEST_P(StreamContract, AFoldSeesABlockBeforeTailsAndWaitsAndTheAnswerToTheAppend) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  ASSERT_TRUE(append(*backend, {}, partition, {"before"}));
  const auto home = backend->stream({}).home(partition);
  RecordingFold sink;
  const auto from = await<Offset>(*backend, home, [&](Stream& stream, Done<Offset> done) {
    stream.fold(partition, sink, std::move(done));
  });
  ASSERT_TRUE(from) << from.error().text;
  EXPECT_EQ(*from, bounds(*backend, home, partition)->visible_end);
  sink.folded = *from;
  const auto tail = await<Offset>(*backend, home, [&](Stream& stream, Done<Offset> done) {
    stream.tail(partition, sink, std::move(done));
  });
  ASSERT_TRUE(tail);
  int woken = 0;
  int rounds = 0;
  for (const auto shard : all_shards(*backend)) {
    const auto end = bounds(*backend, home, partition)->visible_end;
    backend->post(home, [&, end] {
      backend->stream(home).wait_beyond(partition, end, [&, end] {
        EXPECT_GT(sink.folded, end) << "a wait knows more than the fold";
        ++woken;
      });
    });
    bool answered = false;
    backend->post(shard, [&, shard] {
      backend->stream(shard).append(partition, batch({"a", "b"}), [&](Result<Appended> appended) {
        ASSERT_TRUE(appended) << appended.error().text;
        EXPECT_GT(sink.folded, appended->first + 1) << "the answer knows more than the fold";
        answered = true;
      });
    });
    ++rounds;
    ASSERT_TRUE(backend->run_until(
        [&] { return answered && woken == rounds && sink.tailed == sink.folded; }));
  }
  EXPECT_GE(sink.blocks, 1);
  EXPECT_EQ(sink.folded, bounds(*backend, home, partition)->visible_end);
  ASSERT_TRUE(remove(*backend, "sensors"));
}

TEST_P(StreamContract, WhatIsHeldCanBeReadAndReleased) {
  const auto backend = GetParam().make();
  const auto partition = only_partition(create(*backend, "sensors"));
  const auto appended = append(*backend, {}, partition, {"a", "b"});
  ASSERT_TRUE(appended);
  const auto home = backend->stream({}).home(partition);
  for (const auto from : {appended->first, appended->first + 2}) {
    const auto range = await<Bounds>(*backend, home, [&](Stream& stream, Done<Bounds> done) {
      stream.hold(partition, from);
      stream.bounds(partition, std::move(done));
    });
    ASSERT_TRUE(range);
    EXPECT_EQ(read_values(*backend, {}, partition), (std::vector<std::string>{"a", "b"}));
  }
}

}  // namespace
}  // namespace sluice::stream
