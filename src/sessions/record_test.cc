#include "sessions/record.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/random.h"

namespace sluice::sessions {
namespace {

constexpr std::uint32_t stream_count = 3;

std::uint64_t any(Random& random) { return random.next() >> random.below(64); }
std::int64_t any_offset(Random& random) { return static_cast<std::int64_t>(any(random) >> 1); }
std::uint16_t any_packet_id(Random& random) {
  return static_cast<std::uint16_t>(1 + random.below(0xffff));
}
Uid any_uid(Random& random) { return (random.next() | 2) & ~Uid{1}; }

Position any_position(Random& random) {
  constexpr std::uint64_t streams[stream_count] = {1, 0xfedc'ba98'7654'3210, 1 << 20};
  return {.partition = {.stream = {streams[random.below(stream_count)]},
                        .index = static_cast<std::uint32_t>(random.below(40))},
          .offset = {any_offset(random)}};
}

std::vector<Position> any_positions(Random& random) {
  std::vector<Position> all(random.below(50));
  for (auto& one : all) one = any_position(random);
  return all;
}

Buffer any_bytes(Random& random) {
  Buffer bytes(random.below(40));
  for (auto& byte : bytes) byte = static_cast<std::byte>(random.next());
  return bytes;
}

Meta any_meta(Random& random) {
  Meta meta{.uid = any_uid(random),
            .process = random.next(),
            .connected = random.one_in(2),
            .crashed = random.one_in(2),
            .left = {.gone_at = any_offset(random) >> 3,
                     .expiry_s = static_cast<std::uint32_t>(any(random))}};
  if (random.one_in(2))
    meta.will = Will{.topic = std::string(random.below(20), 't'),
                     .payload = any_bytes(random),
                     .properties = any_bytes(random),
                     .qos = static_cast<std::uint8_t>(random.below(3)),
                     .retain = random.one_in(2),
                     .delay_s = static_cast<std::uint32_t>(any(random))};
  return meta;
}

Filter any_filter(Random& random) {
  return {.text = "a/+/#",
          .qos = static_cast<std::uint8_t>(random.below(3)),
          .no_local = random.one_in(2),
          .retain_as_published = random.one_in(2),
          .retain_handling = static_cast<std::uint8_t>(random.below(3)),
          .id = static_cast<std::uint32_t>(any(random)),
          .since = any_positions(random),
          .share = random.one_in(2) ? any(random) : 0};
}

Progress any_progress(Random& random) {
  Progress progress{.next = any_positions(random),
                    .next_packet_id = any_packet_id(random),
                    .received = any(random)};
  for (auto left = random.below(50); left > 0; --left)
    progress.in_flight.push_back({any_packet_id(random), static_cast<SentState>(random.below(3)),
                                  any_position(random),
                                  static_cast<std::uint32_t>(random.one_in(2) ? any(random) : 0)});
  for (auto left = random.below(50); left > 0; --left)
    progress.open.push_back(any_packet_id(random));
  progress.lost = {.retention = any(random), .lag_limit = any(random)};
  for (auto left = random.below(4); left > 0; --left)
    progress.replays.push_back(
        {"$stream/" + std::string(random.below(200), 's'), any_positions(random)});
  for (InFlight& message : progress.in_flight)
    if (random.one_in(10)) message.retained_topic = std::string(1 + random.below(200), 't');
  for (auto left = random.below(4); left > 0; --left) {
    RetainedRest rest{.filter = std::string(random.below(200), 'f'),
                      .before = any_positions(random),
                      .from = std::string(random.below(200), 'k')};
    rest.done = static_cast<std::uint32_t>(random.below(rest.before.size() + 1));
    progress.retained.push_back(std::move(rest));
  }
  return progress;
}

GroupState any_group(Random& random) {
  return {.process = random.next(),
          .next = any_positions(random),
          .open = any_positions(random),
          .taken = any_positions(random)};
}

// Whatever is cut off or added, it is noticed.
template <class Decode>
void expect_refused_when_cut(const Buffer& bytes, Decode decode) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Buffer cut(bytes.begin(), bytes.begin() + size);
    EXPECT_FALSE(decode(Bytes(cut))) << size << " of " << bytes.size();
  }
  Buffer longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode(Bytes(longer)));
}

TEST(Record, RowsComeBackAsTheyWere) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const Meta meta = any_meta(random);
    EXPECT_EQ(decode_meta(encode_meta(meta)), meta) << seed;
    const Uid uid = any_uid(random);
    const Filter filter = any_filter(random);
    const auto filter_back = decode_filter(filter.text, encode_filter(uid, filter));
    ASSERT_TRUE(filter_back) << seed;
    EXPECT_EQ(*filter_back, (OfLife<Filter>{uid, filter})) << seed;
    const Progress progress = any_progress(random);
    const auto progress_back = decode_progress(encode_progress(uid, progress));
    ASSERT_TRUE(progress_back) << seed;
    EXPECT_EQ(*progress_back, (OfLife<Progress>{uid, progress})) << seed;
    const GroupState group = any_group(random);
    EXPECT_EQ(decode_group(encode_group(group)), group) << seed;
  }
}

TEST(Record, IsRefusedWhenCutShortOrTooLong) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    expect_refused_when_cut(encode_meta(any_meta(random)), decode_meta);
    expect_refused_when_cut(encode_filter(2, any_filter(random)),
                            [](Bytes bytes) { return decode_filter("a", bytes); });
    expect_refused_when_cut(encode_progress(2, any_progress(random)), decode_progress);
    expect_refused_when_cut(encode_group(any_group(random)), decode_group);
  }
  expect_refused_when_cut(encode_evidence_position({77}), decode_evidence_position);
}

TEST(Record, KeepsTheExtremes) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const Partition last{.stream = {~std::uint64_t{0}}, .index = 0xffff'ffff};
  const Progress progress{
      .next = {{last, {most}}, {{.stream = {1}}, {0}}, {last, {0}}},
      .in_flight = {{0xffff, SentState::released, {last, {most}}}, {1, SentState::qos2, {}}},
      .next_packet_id = 0xffff,
      .received = ~std::uint64_t{0},
      .open = {0xffff, 1, 0xffff},
      .lost = {.retention = ~std::uint64_t{0}, .lag_limit = ~std::uint64_t{0}},
      .replays = {{"$stream/s", {{last, {most}}, {{.stream = {~std::uint64_t{0}}}, {0}}}}, {}}};
  const auto back = decode_progress(encode_progress(2, progress));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->value, progress);
}

TEST(Record, ASessionWithOnePartitionIsSmall) {
  const Position next{{.stream = {0x1234'5678'9abc'def0}}, {1'000'000'000}};
  Progress progress{.next = {next}};
  EXPECT_LE(encode_progress(2, progress).size(), 32u);
  for (std::uint16_t i = 0; i < 1000; ++i)
    progress.in_flight.push_back(
        {static_cast<std::uint16_t>(i + 1), SentState::qos1, {next.partition, next.offset + i}});
  EXPECT_LE(encode_progress(2, progress).size(), 32u + 1000 * 3 + 4);
  EXPECT_LE(encode_filter(2, {.text = "a", .qos = 1, .since = {next}}).size(), 32u);
  EXPECT_LE(encode_meta({.uid = 2, .left = {1'800'000'000'000, 3600}}).size(), 32u);
}

TEST(Record, ANewerFormatIsSaidToBeSo) {
  Buffer bytes = encode_progress(2, {});
  bytes[0] = std::byte{5};
  EXPECT_EQ(decode_progress(bytes).error().code, Errc::unsupported);
  bytes = encode_meta({.uid = 2});
  bytes[0] = std::byte{2};
  EXPECT_EQ(decode_meta(bytes).error().code, Errc::unsupported);
}

TEST(Record, AnOlderProgressSaysNothingOfLosses) {
  const Progress progress{.next_packet_id = 7, .received = 5, .open = {3, 9}};
  Buffer bytes = encode_progress(2, progress);
  bytes.resize(bytes.size() - 2);
  EXPECT_FALSE(decode_progress(bytes)) << "cut short";
  bytes[0] = std::byte{1};
  const auto back = decode_progress(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->value, progress);
}

TEST(Record, OfASessionWithoutReplaysOrRetainedMessagesIsReadByAHubThatKnowsNone) {
  Progress progress{.next_packet_id = 7};
  EXPECT_EQ(encode_progress(2, progress)[0], std::byte{2});
  progress.replays = {{"$stream/s", {}}};
  EXPECT_EQ(encode_progress(2, progress)[0], std::byte{3});
  progress.in_flight = {{.packet_id = 1, .retained_topic = "a"}};
  EXPECT_EQ(encode_progress(2, progress)[0], std::byte{4});
  progress.in_flight = {};
  progress.retained = {{.filter = "a"}};
  EXPECT_EQ(encode_progress(2, progress)[0], std::byte{4});
}

TEST(Record, AReplayGoesOnWhereItHasComeToAndElseWhereItBegan) {
  const auto at = [](std::uint32_t index, std::int64_t offset) {
    return Position{{.stream = {7}, .index = index}, {offset}};
  };
  const Filter filter{.text = "$stream/s", .since = {at(2, 5), at(0, 5), at(1, 5)}};
  const Progress progress{.replays = {{"$stream/s/#", {at(1, 9)}}, {"$stream/s", {at(0, 8)}}}};
  EXPECT_EQ(place_of(filter, progress), (std::vector{at(0, 8), at(1, 5), at(2, 5)}));
  EXPECT_EQ(place_of(filter, {}), (std::vector{at(0, 5), at(1, 5), at(2, 5)}));
}

TEST(Record, BelongsToALifeThatIsStored) {
  EXPECT_FALSE(decode_progress(encode_progress(0, {})));
  EXPECT_FALSE(decode_progress(encode_progress(3, {})));
  EXPECT_FALSE(decode_filter("a", encode_filter(0, {})));
  EXPECT_FALSE(decode_meta(encode_meta({.uid = 3})));
}

TEST(Left, ExpiresWhenItsTimeIsOver) {
  const Left left{.gone_at = 10'000, .expiry_s = 5};
  EXPECT_FALSE(left.expired(14'999));
  EXPECT_TRUE(left.expired(15'000));
  EXPECT_FALSE(left.expired(0)) << "the clock was set back";
  EXPECT_FALSE((Left{0, never_expires}.expired(WallMs{1} << 50)));
  EXPECT_TRUE((Left{10'000, 0}.expired(10'000)));
}

TEST(Key, TellsWhatItIsOf) {
  EXPECT_EQ(client_in_meta_key(meta_key("dev/1")), "dev/1");
  EXPECT_EQ(client_in_meta_key(progress_key("dev/1")), std::nullopt);
  EXPECT_EQ(client_in_meta_key(""), std::nullopt);
  EXPECT_EQ(filter_in_key("dev", filter_key("dev", "a/#")), "a/#");
  const Partition partition{.stream = {0xfedc'ba98'7654'3210}, .index = 7};
  EXPECT_EQ(partition_in_evidence_key(evidence_key(partition)), partition);
  EXPECT_EQ(partition_in_evidence_key("pppp"), std::nullopt);
}

TEST(Key, FiltersOfAClientAreNotThoseOfOneWithALongerId) {
  const KeyRange range = filters_of("dev");
  const auto covers = [&](const std::string& key) {
    return key >= range.from && key < range.until;
  };
  EXPECT_TRUE(covers(filter_key("dev", "\x7f\xef\xbf\xbf")));
  EXPECT_TRUE(covers(filter_key("dev", "")));
  EXPECT_FALSE(covers(filter_key("dev1", "a")));
  EXPECT_FALSE(covers(filter_key("dev\1", "a")));
  EXPECT_FALSE(covers(filter_key("de", "a")));
}

TEST(Key, OfAHolderHasItsNumberBehindTheGroup) {
  const std::string text = "$share/g/a";
  const std::string key = holder_key(text, 0xfedc'ba98'7654'3210);
  const KeyRange range = holders_of(text);
  EXPECT_TRUE(key >= range.from && key < range.until);
  EXPECT_EQ(share_in_holder_key(text, key), 0xfedc'ba98'7654'3210);
  EXPECT_EQ(share_in_holder_key(text, key + "x"), 0u);
  EXPECT_FALSE(holder_key(text + "/b", 1) < range.until &&
               holder_key(text + "/b", 1) >= range.from);
  EXPECT_EQ(decode_holder(encode_holder("dev/1")), "dev/1");
}

TEST(Key, MetasFollowEachOther) {
  const KeyRange all = metas_after("");
  EXPECT_LE(all.from, meta_key("\1"));
  EXPECT_GT(all.until, meta_key("\xff\xff"));
  EXPECT_GT(metas_after("dev").from, meta_key("dev"));
  EXPECT_LE(metas_after("dev").from, meta_key("dev\1"));
}

}  // namespace
}  // namespace sluice::sessions
