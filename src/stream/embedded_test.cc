#include "stream/embedded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "stream/sim_backend_test.h"

namespace sluice::stream {
namespace {

std::vector<BackendMaker> makers() {
  std::vector<BackendMaker> all;
  for (const std::uint32_t shards : {1u, 3u}) {
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      all.push_back({fmt::format("{}ShardsSeed{}", shards, seed),
                     [=] { return std::make_unique<SimBackend>(seed, shards); }});
    }
  }
  // Credits so small that every bound is met all the time.
  all.push_back({"3ShardsScarce", [] {
                   return std::make_unique<SimBackend>(
                       4, 3, EmbeddedTuning{.append_credit = 300, .tail_credit = 200}, 2);
                 }});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Embedded, StreamContract, testing::ValuesIn(makers()),
                         [](const auto& instance) { return "On" + instance.param.name; });

// A partition of a stream that another shard than `shard` owns.
Partition partition_elsewhere(const StreamInfo& stream, ShardId shard, std::uint32_t shards) {
  for (std::uint32_t i = 0; i < stream.config.partitions; ++i) {
    const Partition partition{stream.id, i};
    if (log::Recovery::owner(partition, shards) != shard) return partition;
  }
  ADD_FAILURE() << "all partitions on one shard";
  return {};
}

TEST(EmbeddedBackend, ARestartKeepsCatalogueAndData) {
  SimBackend backend(1, 2);
  const auto kept = create(backend, "kept", {.partitions = 2, .retention_ms = 7});
  const auto gone = create(backend, "gone");
  ASSERT_TRUE(kept && gone);
  ASSERT_TRUE(append(backend, {}, {kept->id, 1}, {"a", "b"}));
  ASSERT_TRUE(remove(backend, "gone"));
  ASSERT_TRUE(backend.stop());
  backend.start(2);

  const auto& catalogue = backend.stream({1}).catalogue();
  ASSERT_NE(catalogue.find("kept"), nullptr);
  EXPECT_EQ(catalogue.find("kept")->id, kept->id);
  EXPECT_EQ(catalogue.find("kept")->config, kept->config);
  EXPECT_EQ(catalogue.find("gone"), nullptr);
  EXPECT_EQ(read_values(backend, {}, {kept->id, 1}), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(append(backend, {}, {kept->id, 0}, {"c"}));
}

TEST(EmbeddedBackend, ARestartKeepsWhatWasAltered) {
  SimBackend backend(1, 2);
  const auto made = create(backend, "sensors", {.partitions = 1});
  ASSERT_TRUE(made);
  const StreamConfig config{
      .partitions = 3, .retention_ms = 7, .compact = true, .delete_retention_ms = 8};
  ASSERT_TRUE(alter(backend, "sensors", config));
  ASSERT_TRUE(append(backend, {}, {made->id, 2}, {"a"}));
  ASSERT_TRUE(backend.stop());
  backend.start(2);
  EXPECT_EQ(backend.stream({1}).catalogue().find("sensors")->config, config);
  EXPECT_EQ(read_values(backend, {}, {made->id, 2}), std::vector<std::string>{"a"});
  EXPECT_TRUE(append(backend, {}, {made->id, 1}, {"b"}));
}

// Appends a record of 2 KB, which a small log has no room for at any time.
void append_large(SimBackend& backend, Partition partition, const std::string& key,
                  const std::string& value) {
  ASSERT_TRUE(backend.run_until([&] { return backend.stream({}).has_room(partition); }));
  ASSERT_TRUE(await<Appended>(backend, {}, [=](Stream& stream, Done<Appended> done) {
    stream.append(partition, keyed_batch({{key, value + std::string(2000, '.')}}), std::move(done));
  }));
}

// A stream whose sealed segments have been compacted: `count` values of seven keys in turn.
StreamInfo make_compacted(SimBackend& backend, int count) {
  const auto made =
      create(backend, "table", {.segment_bytes = 1 << 16, .compact = true, .expire = false});
  EXPECT_TRUE(made);
  const Partition partition{made->id, 0};
  for (int i = 0; i < count; ++i) {
    append_large(backend, partition, fmt::format("k{}", i % 7), std::to_string(i));
  }
  backend.world->run_for(std::chrono::minutes(2));  // retention looks around each minute
  return *made;
}

TEST(EmbeddedBackend, ReadersAndTailsPassOverTheHolesThatCompactionLeaves) {
  constexpr int count = 200;
  SimBackend backend(12, 2);
  const Partition partition{make_compacted(backend, count).id, 0};
  for (const ShardId shard : {ShardId{0}, ShardId{1}}) {
    Follower follower(backend, shard, partition);
    ASSERT_TRUE(append(backend, {}, partition, {"last"}));
    ASSERT_TRUE(backend.run_until(
        [&] { return !follower.values.empty() && follower.values.back() == "last"; }));
    EXPECT_LT(follower.values.size(), 100u) << "of 200; segments are compacted";
    const auto map = read_map(backend, shard, partition);
    EXPECT_EQ(map.size(), 8u);
    for (int i = count - 7; i < count; ++i)
      EXPECT_TRUE(map.at(fmt::format("k{}", i % 7)).starts_with(std::to_string(i)));
    for (std::int64_t from = 0; from < count; from += 11) {
      const auto answer = read(backend, shard, partition, {from}, 1);
      ASSERT_TRUE(answer) << answer.error().text;
      EXPECT_GT(answer->next, Offset{from});
    }
    EXPECT_TRUE(await<Bounds>(backend, shard, [&](Stream& stream, Done<Bounds> done) {
      stream.untail(partition);
      stream.bounds(partition, std::move(done));
    }));
  }
}

TEST(EmbeddedBackend, AStreamAlteredToBeCompactedIsAndOneAlteredBackIsNot) {
  SimBackend backend(13, 1);
  auto info = make_compacted(backend, 120);
  const Partition partition{info.id, 0};
  const auto before = read_values(backend, {}, partition).size();
  EXPECT_LT(before, 60u);
  info.config.compact = false;
  info.config.expire = true;
  ASSERT_TRUE(alter(backend, "table", info.config));
  for (int i = 0; i < 120; ++i) append_large(backend, partition, "key", "x");
  backend.world->run_for(std::chrono::minutes(3));
  EXPECT_EQ(read_values(backend, {}, partition).size(), before + 120);
  info.config.compact = true;
  ASSERT_TRUE(alter(backend, "table", info.config));
  backend.world->run_for(std::chrono::minutes(3));
  EXPECT_LT(read_values(backend, {}, partition).size(), before + 60);
}

TEST(EmbeddedBackend, TheNumberOfShardsMayChangeBetweenStarts) {
  SimBackend backend(2, 3);
  const auto made = create(backend, "sensors", {.partitions = 5});
  ASSERT_TRUE(made);
  int appended = 0;
  for (const std::uint32_t shards : {1u, 2u, 4u, 3u}) {
    for (std::uint32_t i = 0; i < 5; ++i) {
      ASSERT_TRUE(append(backend, {}, {made->id, i}, {std::to_string(appended)}));
    }
    ++appended;
    ASSERT_TRUE(backend.stop());
    backend.start(shards);
    for (std::uint32_t i = 0; i < 5; ++i) {
      EXPECT_EQ(read_values(backend, {shards - 1}, {made->id, i}), numbers(appended));
    }
  }
}

TEST(EmbeddedBackend, ACatalogueThatHasChangedOftenIsCompactedAndReadAgain) {
  SimBackend backend(3, 1);
  const auto kept = create(backend, "kept", {.retention_ms = 1});
  ASSERT_TRUE(kept);
  for (int i = 0; i < 300; ++i) {
    const auto name = fmt::format("s{}", i % 5);
    if (i >= 5) {
      ASSERT_TRUE(remove(backend, name));
    }
    ASSERT_TRUE(create(backend, name));
    ASSERT_TRUE(alter(backend, name, {.partitions = 2, .retention_ms = i}));
  }
  backend.world->run_for(std::chrono::minutes(3));
  ASSERT_TRUE(backend.stop());
  std::uint64_t size = 0;
  const std::string dir = "streams/0000000000000001/0/";
  const auto files = backend.disk.list(dir);
  for (const auto& file : files.value()) {
    if (file.ends_with(".log")) size += *(*backend.disk.open(dir + file, OpenMode::read))->size();
  }
  EXPECT_LT(size, 70'000u) << "the active segment, and next to nothing";
  backend.start(1);
  const auto& catalogue = backend.stream({}).catalogue();
  EXPECT_EQ(catalogue.all().size(), 7u) << "with the catalogue itself";
  EXPECT_EQ(catalogue.find("kept")->id, kept->id);
  for (int i = 295; i < 300; ++i) {
    const auto* const stream = catalogue.find(fmt::format("s{}", i % 5));
    ASSERT_NE(stream, nullptr);
    EXPECT_EQ(stream->config, (StreamConfig{.partitions = 2, .retention_ms = i}));
  }
}

TEST(EmbeddedBackend, TheCatalogueItselfIsAnInternalStreamThatStays) {
  SimBackend backend(3, 1);
  const auto* const catalogue = backend.stream({}).catalogue().find("__catalogue");
  ASSERT_NE(catalogue, nullptr);
  EXPECT_TRUE(catalogue->config.internal);
  EXPECT_EQ(remove(backend, "__catalogue").error().code, Errc::invalid);
  EXPECT_EQ(create(backend, "__catalogue").error().code, Errc::exists);
}

class LastBlock final : public TailSink {
 public:
  void on_block(Partition, const BlockRef& block) override {
    EXPECT_FALSE(behind_at);
    EXPECT_EQ(block->from(), next);
    next = block->until();
    ++blocks;
  }
  void on_behind(Partition, Offset at) override { behind_at = at; }

  Offset next;
  int blocks = 0;
  std::optional<Offset> behind_at;
};

TEST(EmbeddedBackend, ATailWithoutCreditEndsExactlyBehindItsLastBlock) {
  // Room for one block: the second of one commit is too much.
  SimBackend backend(4, 2, {.tail_credit = 1});
  const auto made = create(backend, "sensors", {.partitions = 16});
  ASSERT_TRUE(made);
  const auto partition = partition_elsewhere(*made, {0}, 2);
  LastBlock sink;
  const auto start = await<Offset>(backend, {0}, [&](Stream& stream, Done<Offset> done) {
    stream.tail(partition, sink, std::move(done));
  });
  ASSERT_TRUE(start);
  sink.next = *start;
  backend.post({1}, [&] {
    for (int i = 0; i < 3; ++i) {
      backend.stream({1}).append(partition, batch({"a", "b"}), [](const Result<Appended>&) {});
    }
  });
  ASSERT_TRUE(backend.run_until([&] { return sink.behind_at.has_value(); }));
  EXPECT_EQ(sink.blocks, 1);
  EXPECT_EQ(*sink.behind_at, sink.next);
  EXPECT_EQ(read_values(backend, {0}, partition, *sink.behind_at).size(), 4u);
}

TEST(EmbeddedBackend, AnAppendBeyondTheCreditIsBusyAtOnceAndTakesNothing) {
  SimBackend backend(5, 2, {.append_credit = 1});
  const auto made = create(backend, "sensors", {.partitions = 16});
  ASSERT_TRUE(made);
  const auto partition = partition_elsewhere(*made, {0}, 2);
  bool has_room_again = false;
  backend.post({0}, [&] {
    auto& stream = backend.stream({0});
    EXPECT_TRUE(stream.has_room(partition));
    stream.append(partition, batch({"taken"}), [](const Result<Appended>& r) { EXPECT_TRUE(r); });
    EXPECT_FALSE(stream.has_room(partition));
    bool refused = false;
    stream.append(partition, batch({"refused"}), [&](const Result<Appended>& result) {
      EXPECT_EQ(result.error().code, Errc::busy);
      refused = true;
    });
    EXPECT_TRUE(refused);
    stream.on_room(partition, [&] { has_room_again = stream.has_room(partition); });
  });
  ASSERT_TRUE(backend.run_until([&] { return has_room_again; }));
  EXPECT_EQ(read_values(backend, {0}, partition), std::vector<std::string>{"taken"});
}

TEST(EmbeddedBackend, AppendsThatWaitForTheLogOfAnotherShardAreAnsweredWhenItFails) {
  SimBackend backend(8, 2);
  const auto made = create(backend, "sensors", {.partitions = 16});
  ASSERT_TRUE(made);
  const auto partition = partition_elsewhere(*made, {0}, 2);
  backend.disk.fail_next_syncs(1000);
  const std::string half_of_all_that_may_be_pending(SimBackend::small_log().pending_max / 2, 'x');
  std::size_t answered = 0;
  backend.post({0}, [&] {
    for (int i = 0; i < 10; ++i) {
      auto block = batch({half_of_all_that_may_be_pending});
      backend.stream({0}).append(partition, std::move(block), [&](const Result<Appended>& result) {
        EXPECT_EQ(result.error().code, Errc::io);
        ++answered;
      });
    }
  });
  EXPECT_TRUE(backend.run_until([&] { return answered == 10; })) << answered;
}

TEST(EmbeddedBackend, RequestsBeyondTheBoundAreBusy) {
  SimBackend backend(6, 2, {.requests = 2});
  const auto made = create(backend, "sensors", {.partitions = 16});
  ASSERT_TRUE(made);
  const auto partition = partition_elsewhere(*made, {0}, 2);
  int answered = 0;
  int busy = 0;
  backend.post({0}, [&] {
    for (int i = 0; i < 5; ++i) {
      backend.stream({0}).bounds(partition, [&](const Result<Bounds>& result) {
        ++answered;
        if (!result) {
          EXPECT_EQ(result.error().code, Errc::busy);
          ++busy;
        }
      });
    }
  });
  ASSERT_TRUE(backend.run_until([&] { return answered == 5; }));
  EXPECT_EQ(busy, 3);
  EXPECT_TRUE(bounds(backend, {0}, partition));
}

// The partitions that the log on a stopped machine's disk has of streams other than those of
// `catalogue`.
std::size_t count_orphans(SimBackend& backend, const std::set<StreamId>& catalogue) {
  const auto recovered = log::Recovery::run(backend.disk, SimBackend::small_log(), 2);
  SLUICE_ASSERT(recovered);
  const auto partitions = (*recovered)->partitions();
  return static_cast<std::size_t>(std::ranges::count_if(
      partitions, [&](Partition partition) { return !catalogue.contains(partition.stream); }));
}

std::set<StreamId> ids_of(const Catalogue& catalogue) {
  std::set<StreamId> ids;
  for (const auto& [name, stream] : catalogue.all()) ids.insert(stream.id);
  return ids;
}

TEST(EmbeddedBackend, ARemovalThatACrashCutsShortIsFinishedByTheNextStart) {
  std::size_t cut_short = 0;
  bool crashed = true;
  for (std::uint64_t operation = 0; crashed; ++operation) {
    SimBackend backend(7, 2);
    const auto made = create(backend, "sensors", {.partitions = 2});
    for (const std::uint32_t p : {0u, 1u}) ASSERT_TRUE(append(backend, {}, {made->id, p}, {"a"}));
    auto left = ids_of(backend.stream({}).catalogue());
    left.erase(made->id);
    backend.disk.crash_at(backend.disk.operations() + operation);
    crashed = false;
    try {
      ASSERT_TRUE(remove(backend, "sensors"));
      backend.world->run_until_idle();
    } catch (const sim::Crashed&) {
      crashed = true;
    }
    backend.crash();
    const auto orphans = count_orphans(backend, left);
    backend.start(2);
    if (backend.stream({}).catalogue().find("sensors") != nullptr) {
      EXPECT_EQ(read_values(backend, {}, {made->id, 1}), std::vector<std::string>{"a"});
      continue;
    }
    if (orphans != 0) ++cut_short;
    ASSERT_TRUE(backend.stop());
    EXPECT_EQ(count_orphans(backend, left), 0u);
  }
  EXPECT_GT(cut_short, 0u) << "no crash fell between the two halves of a removal";
}

// Creates, fills and removes streams until the disk dies at its `operation`th change; then a
// restart must know each stream wholly or not at all.
class CrashingCatalogue : public testing::TestWithParam<std::uint64_t> {};

TEST_P(CrashingCatalogue, KnowsEachStreamWhollyOrNotAtAllAfterACrash) {
  SimBackend backend(GetParam(), 2);
  backend.disk.crash_at(backend.disk.operations() + GetParam() * 3);
  std::map<std::string, bool> acknowledged;  // name: is there
  bool crashed = false;
  try {
    for (int i = 0; i < 20; ++i) {
      const auto name = fmt::format("s{}", i % 4);
      const bool removes = acknowledged.contains(name) && acknowledged[name];
      acknowledged.erase(name);  // either is right until the answer
      if (removes) {
        ASSERT_TRUE(remove(backend, name, {1}));
        acknowledged[name] = false;
        continue;
      }
      const auto made = create(backend, name, {.partitions = 3});
      ASSERT_TRUE(made);
      acknowledged[name] = true;
      for (std::uint32_t p = 0; p < 3; ++p) ASSERT_TRUE(append(backend, {}, {made->id, p}, {name}));
    }
  } catch (const sim::Crashed&) {
    crashed = true;
  }
  EXPECT_TRUE(crashed) << "the disk was to die in the middle";
  backend.crash();
  backend.start(2);
  for (const auto& [name, there] : acknowledged) {
    EXPECT_EQ(backend.stream({}).catalogue().find(name) != nullptr, there) << name;
  }
  for (const auto& [name, stream] : backend.stream({1}).catalogue().all()) {
    if (stream.config.internal) continue;
    for (std::uint32_t p = 0; p < 3; ++p) {
      EXPECT_TRUE(append(backend, {1}, {stream.id, p}, {"again"}));
      EXPECT_EQ(read_values(backend, {}, {stream.id, p}).back(), "again");
    }
  }
  const auto known = ids_of(backend.stream({}).catalogue());
  ASSERT_TRUE(backend.stop());
  EXPECT_EQ(count_orphans(backend, known), 0u);
}

INSTANTIATE_TEST_SUITE_P(AtEveryPoint, CrashingCatalogue, testing::Range<std::uint64_t>(1, 25));

}  // namespace
}  // namespace sluice::stream
