#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "stream/contract_test.h"

namespace sluice::stream {

std::vector<ShardId> all_shards(const TestBackend& backend) {
  std::vector<ShardId> shards;
  for (std::uint32_t i = 0; i < backend.shards(); ++i) shards.push_back({i});
  return shards;
}

Partition only_partition(const Result<StreamInfo>& stream) { return {stream.value().id, 0}; }

std::shared_ptr<Block> batch(const std::vector<std::string>& values, WallMs timestamp) {
  log::BatchBuilder builder;
  for (const auto& value : values) {
    builder.add(timestamp, {.key = as_bytes("key"), .value = as_bytes(value), .headers = {}});
  }
  return builder.finish();
}

std::shared_ptr<Block> keyed_batch(const std::vector<KeyValue>& records, WallMs timestamp) {
  log::BatchBuilder builder;
  for (const auto& [key, value] : records) {
    const std::string text = key.value_or("");
    builder.add(timestamp, {.key = as_bytes(text),
                            .value = as_bytes(value.value_or("")),
                            .headers = {},
                            .key_hash = static_cast<std::uint32_t>(hash64(as_bytes(text))),
                            .null_key = !key,
                            .null_value = !value});
  }
  return builder.finish();
}

Result<StreamInfo> create(TestBackend& backend, const std::string& name, StreamConfig config,
                          ShardId shard) {
  return await<StreamInfo>(backend, shard, [=](Stream& stream, Done<StreamInfo> done) {
    stream.create(name, config, std::move(done));
  });
}

Result<StreamInfo> alter(TestBackend& backend, const std::string& name, StreamConfig config,
                         ShardId shard) {
  return await<StreamInfo>(backend, shard, [=](Stream& stream, Done<StreamInfo> done) {
    stream.alter(name, config, std::move(done));
  });
}

Result<void> remove(TestBackend& backend, const std::string& name, ShardId shard) {
  return await<void>(backend, shard, [=](Stream& stream, Done<void> done) {
    stream.remove(name, std::move(done));
  });
}

Result<Appended> append(TestBackend& backend, ShardId shard, Partition partition,
                        const std::vector<std::string>& values, WallMs timestamp) {
  return await<Appended>(backend, shard, [=](Stream& stream, Done<Appended> done) {
    stream.append(partition, batch(values, timestamp), std::move(done));
  });
}

Result<Bounds> bounds(TestBackend& backend, ShardId shard, Partition partition) {
  return await<Bounds>(backend, shard, [=](Stream& stream, Done<Bounds> done) {
    stream.bounds(partition, std::move(done));
  });
}

Result<ReadAnswer> read(TestBackend& backend, ShardId shard, Partition partition, Offset from,
                        std::size_t bytes_max) {
  return await<ReadAnswer>(backend, shard, [=](Stream& stream, Done<ReadAnswer> done) {
    stream.read(partition, from, bytes_max, Want::records, std::move(done));
  });
}

std::vector<std::string> values_of(const Block& block, Offset from) {
  EXPECT_TRUE(block.indexed());
  std::vector<std::string> values;
  for (const auto& record : block.records()) {
    if (block.from() + record.offset_delta < from) continue;
    values.emplace_back(as_text(block.value(record)));
  }
  return values;
}

std::map<std::string, std::string> read_map(TestBackend& backend, ShardId shard,
                                            Partition partition, Offset from) {
  std::map<std::string, std::string> map;
  while (true) {
    const auto answer = read(backend, shard, partition, from, 1000);
    if (!answer) {
      ADD_FAILURE() << answer.error().text;
      return map;
    }
    for (const auto& block : answer->blocks) {
      for (const auto& record : block->records()) {
        if (block->from() + record.offset_delta < from) continue;
        const std::string key(as_text(block->key(record)));
        map.erase(key);
        if (record.value_at != log::Record::none) map[key] = as_text(block->value(record));
      }
    }
    if (answer->next == from) return map;
    from = answer->next;
  }
}

std::vector<std::string> read_values(TestBackend& backend, ShardId shard, Partition partition,
                                     Offset from) {
  std::vector<std::string> values;
  while (true) {
    const auto answer = read(backend, shard, partition, from, 200);
    if (!answer) {
      ADD_FAILURE() << answer.error().text;
      return values;
    }
    for (const auto& block : answer->blocks)
      std::ranges::move(values_of(*block, from), std::back_inserter(values));
    if (answer->next == from) return values;
    from = answer->next;
  }
}

std::vector<std::string> numbers(int count, int first) {
  std::vector<std::string> values;
  for (int i = first; i < first + count; ++i) values.push_back(std::to_string(i));
  return values;
}

Producer::Producer(TestBackend& backend, ShardId shard, Partition partition, int count)
    : backend_(backend), shard_(shard), partition_(partition), count_(count) {
  backend.post(shard, [this] { go(); });
}

void Producer::go() {
  auto& stream = backend_.stream(shard_);
  const auto burst = backend_.random(4);
  for (std::uint64_t i = 0; i <= burst && next_ < count_; ++i) {
    if (!stream.has_room(partition_)) return stream.on_room(partition_, [this] { go(); });
    const int size = std::min(count_ - next_, 1 + static_cast<int>(backend_.random(3)));
    stream.append(partition_, batch(numbers(size, next_)), [this, size](Result<Appended> appended) {
      ASSERT_TRUE(appended) << appended.error().text;
      acknowledged_ += size;
    });
    next_ += size;
  }
  if (next_ < count_) backend_.post(shard_, [this] { go(); });
}

Follower::Follower(TestBackend& backend, ShardId shard, Partition partition, Offset from)
    : backend_(backend), shard_(shard), partition_(partition), next_(from) {
  backend.post(shard, [this] { start(); });
}

void Follower::start() {
  stream().tail(partition_, *this, [this](Result<Offset> from) {
    ASSERT_TRUE(from) << from.error().text;
    tail_from_ = *from;
    catch_up();
  });
}

void Follower::catch_up() {
  if (!tail_from_) return start();  // the tail went behind meanwhile
  if (next_ < *tail_from_) {
    return stream().read(partition_, next_, 100, Want::records, [this](Result<ReadAnswer> answer) {
      ASSERT_TRUE(answer) << answer.error().text;
      for (const auto& block : answer->blocks) take(*block);
      ASSERT_GE(answer->next, next_);
      next_ = answer->next;
      catch_up();
    });
  }
  // What was read may overlap with what the tail has brought.
  for (; !waiting_.empty(); waiting_.pop_front()) take(*waiting_.front());
}

void Follower::on_block(Partition partition, const BlockRef& block) {
  ASSERT_EQ(partition, partition_);
  ASSERT_TRUE(tail_from_) << "a block before the answer";
  ASSERT_GE(block->from(), *tail_from_) << "a block that the answer had excluded";
  waiting_.push_back(block);
  if (next_ >= *tail_from_) catch_up();
}

void Follower::on_behind(Partition partition, Offset at) {
  ASSERT_EQ(partition, partition_);
  ++times_behind;
  const bool caught_up = next_ >= *tail_from_;
  tail_from_.reset();
  if (!caught_up) {
    waiting_.clear();  // the read under way finds them
    return;
  }
  ASSERT_EQ(next_, at) << "given up at another place than where the blocks ended";
  start();
}

void Follower::take(const Block& block) {
  if (block.until() <= next_) return;
  std::ranges::move(values_of(block, next_), std::back_inserter(values));
  next_ = block.until();
}

}  // namespace sluice::stream
