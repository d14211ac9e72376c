#include "log/record_batch.h"

#include <gtest/gtest.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "base/hash.h"
#include "log/batch_layout.h"
#include "log/compression.h"
#include "log/packed_header.h"

namespace sluice::log {
namespace {

Buffer to_buffer(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

std::shared_ptr<Block> two_records() {
  Buffer headers;
  std::array<std::byte, packed_header_size_max> packed;
  const auto size = encode_packed_header({.qos = 1, .retain = true, .publisher = 9}, packed.data());
  append_header(headers, PackedHeader::name, Bytes(packed).first(size));
  append_header(headers, "content-type", as_bytes("text/plain"));
  BatchBuilder builder;
  builder.add(5000, {.key = as_bytes("sensors/a"),
                     .value = as_bytes("21.5"),
                     .headers = headers,
                     .headers_count = 2,
                     .flags = Record::has_packed | Record::has_properties | Record::retain | 1,
                     .key_hash = static_cast<std::uint32_t>(hash64(as_bytes("sensors/a")))});
  builder.add(5000, {.key = {}, .value = {}, .headers = {}, .null_key = true, .null_value = true});
  return builder.finish();
}

bool same(const Record& a, const Record& b) {
  return a.offset_delta == b.offset_delta && a.key_at == b.key_at && a.key_size == b.key_size &&
         a.value_at == b.value_at && a.value_size == b.value_size && a.headers_at == b.headers_at &&
         a.headers_count == b.headers_count && a.key_hash == b.key_hash && a.flags == b.flags;
}

// The records of an uncompressed batch, compressed by `compress`, in a batch that says so.
template <class Compress>
std::shared_ptr<Block> compressed(const Block& plain, Compression codec, Compress compress) {
  Buffer bytes = to_buffer(plain.bytes().first(batch_header_size));
  append(bytes, compress(plain.bytes().subspan(batch_header_size)));
  store_be<std::int32_t>(bytes.data() + layout::batch_length,
                         static_cast<std::int32_t>(bytes.size() - batch_length_offset));
  store_be<std::int16_t>(bytes.data() + layout::attributes, static_cast<std::int16_t>(codec));
  seal_batch(bytes);
  return std::make_shared<Block>(std::move(bytes));
}

Buffer gzip(Bytes in) {
  z_stream stream{};
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  Buffer out(in.size() + 100);
  Buffer copy = to_buffer(in);
  stream.next_in = reinterpret_cast<Bytef*>(copy.data());
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
Buffer snappy_raw(Bytes in) {
  std::string out;
  snappy::Compress(reinterpret_cast<const char*>(in.data()), in.size(), &out);
  return to_buffer(as_bytes(out));
}
// As snappy-java frames it: here in chunks of 20 bytes.
Buffer snappy_framed(Bytes in) {
  Buffer out = to_buffer(as_bytes(std::string_view("\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16)));
  for (; !in.empty(); in = in.subspan(std::min<std::size_t>(20, in.size()))) {
    const Buffer chunk = snappy_raw(in.first(std::min<std::size_t>(20, in.size())));
    Writer(out).write<std::uint32_t>(static_cast<std::uint32_t>(chunk.size()));
    append(out, chunk);
  }
  return out;
}
Buffer lz4(Bytes in) {
  Buffer out(LZ4F_compressFrameBound(in.size(), nullptr));
  out.resize(LZ4F_compressFrame(out.data(), out.size(), in.data(), in.size(), nullptr));
  return out;
}
Buffer zstd(Bytes in) {
  Buffer out(ZSTD_compressBound(in.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), in.data(), in.size(), 1));
  return out;
}

TEST(RecordBatch, IsBuiltAsKafkaWritesIt) {
  BatchBuilder builder;
  builder.add(1, {.key = as_bytes("k"), .value = as_bytes("v"), .headers = {}});
  const auto block = builder.finish();
  const std::string expected(
      "\0\0\0\0\0\0\0\0"      // base offset
      "\0\0\0\x3a"            // length
      "\xff\xff\xff\xff\x02"  // leader epoch, magic
      ,
      17);
  EXPECT_EQ(as_text(block->bytes().first(17)), expected);
  EXPECT_EQ(as_text(block->bytes().subspan(61)), std::string("\x10\0\0\0\x02k\x02v\0", 9));
  EXPECT_TRUE(validate_batch(block->bytes()));
}

TEST(RecordBatch, KnowsTheSamePlacesWhenBuiltAndWhenParsed) {
  const auto built = two_records();
  Block parsed(to_buffer(built->bytes()));
  ASSERT_TRUE(parsed.index_records(1 << 20));
  ASSERT_EQ(parsed.records().size(), 2u);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(same(parsed.records()[i], built->records()[i])) << i;
  EXPECT_EQ(as_text(parsed.key(parsed.records()[0])), "sensors/a");
  EXPECT_EQ(as_text(parsed.value(parsed.records()[0])), "21.5");
  EXPECT_EQ(parsed.records()[1].key_at, Record::none);
  EXPECT_EQ(parsed.records()[1].value_at, Record::none);
  std::vector<std::string> names;
  for_each_header(parsed, parsed.records()[0],
                  [&](const RecordHeader& h) { names.emplace_back(h.name); });
  EXPECT_EQ(names, (std::vector<std::string>{"mqtt", "content-type"}));
}

TEST(RecordBatch, GivesEachRecordItsOwnTimestamp) {
  constexpr WallMs first = 1'000'000'000'000;
  constexpr WallMs farthest = std::int64_t{1} << 31;
  BatchBuilder builder;
  for (const WallMs when : {first, first - 7, first + 9, first - 2 * farthest})
    builder.add(when, {.key = as_bytes("k"), .value = {}, .headers = {}});
  const auto built = builder.finish();
  const Block parsed(to_buffer(built->bytes()));
  ASSERT_TRUE(parsed.index_records(1 << 20));
  EXPECT_EQ(built->max_timestamp(), first + 9);
  const std::array wanted{first, first - 7, first + 9, first - farthest};
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(built->timestamp(built->records()[i]), wanted[i]);
    EXPECT_EQ(parsed.timestamp(parsed.records()[i]), wanted[i]);
  }
}

TEST(RecordBatch, StampsItsPlaceOutsideTheChecksum) {
  const auto block = two_records();
  block->stamp({1000}, 7);
  EXPECT_EQ(block->from(), Offset{1000});
  EXPECT_EQ(block->until(), Offset{1002});
  EXPECT_EQ(validate_batch(block->bytes())->leader_epoch, 7);
}

TEST(RecordBatch, RefusesEveryFlippedBitThatTheChecksumCovers) {
  const auto block = two_records();
  for (std::size_t i = layout::magic; i < block->bytes().size(); ++i) {
    Buffer bytes = to_buffer(block->bytes());
    bytes[i] ^= std::byte{4};
    EXPECT_FALSE(validate_batch(bytes)) << "byte " << i;
  }
}

TEST(RecordBatch, RefusesWhatIsNotExactlyOneBatch) {
  const auto block = two_records();
  for (std::size_t size = 0; size < block->bytes().size(); ++size)
    EXPECT_FALSE(validate_batch(block->bytes().first(size))) << size;
  Buffer longer = to_buffer(block->bytes());
  longer.push_back(std::byte{0});
  EXPECT_FALSE(validate_batch(longer));
}

TEST(RecordBatch, ReadsEveryCompression) {
  const auto plain = two_records();
  const std::array blocks = {compressed(*plain, Compression::gzip, gzip),
                             compressed(*plain, Compression::snappy, snappy_raw),
                             compressed(*plain, Compression::snappy, snappy_framed),
                             compressed(*plain, Compression::lz4, lz4),
                             compressed(*plain, Compression::zstd, zstd)};
  for (const auto& block : blocks) {
    ASSERT_TRUE(validate_batch(block->bytes()));
    ASSERT_TRUE(block->index_records(1 << 20));
    ASSERT_EQ(block->records().size(), 2u);
    EXPECT_EQ(as_text(block->key(block->records()[0])), "sensors/a");
    EXPECT_EQ(as_text(block->value(block->records()[0])), "21.5");
  }
}

TEST(RecordBatch, ExpandsNoFurtherThanItMay) {
  const Buffer bomb(1 << 20, std::byte{0});
  using Pair = std::pair<Compression, Buffer>;
  for (const auto& [codec, data] :
       {Pair{Compression::gzip, gzip(bomb)}, Pair{Compression::snappy, snappy_raw(bomb)},
        Pair{Compression::lz4, lz4(bomb)}, Pair{Compression::zstd, zstd(bomb)}}) {
    EXPECT_EQ(decompress(codec, data, 1000).error().code, Errc::too_large)
        << static_cast<int>(codec);
    EXPECT_EQ(decompress(codec, data, 1 << 20)->size(), bomb.size());
    EXPECT_EQ(decompress(codec, Bytes(data).first(data.size() / 2), 2 << 20).error().code,
              Errc::malformed);
  }
}

TEST(PackedHeader, ComesBackAsItWas) {
  const PackedHeader full{.qos = 2,
                          .retain = true,
                          .publisher = 0x1122334455667788,
                          .expiry_s = 60,
                          .qos2 = Qos2Evidence{.uid = 5, .packet_id = 6, .n = 7}};
  std::array<std::byte, packed_header_size_max> bytes;
  ASSERT_EQ(encode_packed_header(full, bytes.data()), packed_header_size_max);
  const auto decoded = decode_packed_header(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->qos, 2);
  EXPECT_TRUE(decoded->retain);
  EXPECT_EQ(decoded->publisher, full.publisher);
  EXPECT_EQ(decoded->expiry_s, 60u);
  EXPECT_EQ(decoded->qos2->packet_id, 6);
  EXPECT_EQ(decoded->qos2->n, 7u);
  EXPECT_EQ(encode_packed_header({}, bytes.data()), 2u);
  EXPECT_FALSE(decode_packed_header(Bytes(bytes).first(1)));
}

TEST(PackedHeader, IgnoresFieldsOfLaterVersionsBehindItsOwn) {
  const std::string later("\x01\x41more", 6);  // an unknown flag bit and its field
  const auto decoded = decode_packed_header(as_bytes(later));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->qos, 1);
}

TEST(PackedHeader, IsNotFoundInBytesOfOthers) {
  EXPECT_FALSE(decode_packed_header(as_bytes("text")));
  EXPECT_FALSE(decode_packed_header(as_bytes(std::string_view("\x01\x08", 2))))
      << "publisher is cut";
  EXPECT_FALSE(decode_packed_header(as_bytes("\x01\x03"))) << "QoS 3";
}

}  // namespace
}  // namespace sluice::log
