#include "log/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <memory>

namespace sluice::log {
namespace {

constexpr std::size_t growth_min = 16 * 1024;

// The output of a streaming decoder: grows by doubling up to its limit.
class Output {
 public:
  explicit Output(std::size_t size_max) : size_max_(size_max) {}

  [[nodiscard]] bool full() const { return used_ == bytes_.size(); }
  Result<void> grow() {
    if (bytes_.size() >= size_max_)
      return fail(Errc::too_large, "compressed records expand to more than {} bytes", size_max_);
    bytes_.resize(std::min(size_max_, std::max(growth_min, bytes_.size() * 2)));
    return {};
  }
  [[nodiscard]] MutableBytes room() { return MutableBytes(bytes_).subspan(used_); }
  void used(std::size_t count) { used_ += count; }
  Buffer take() {
    bytes_.resize(used_);
    bytes_.shrink_to_fit();
    return std::move(bytes_);
  }

 private:
  Buffer bytes_;
  std::size_t used_ = 0;
  std::size_t size_max_;
};

std::unexpected<Error> damaged(const char* codec) {
  return fail(Errc::malformed, "{} data is damaged", codec);
}

Result<Buffer> gunzip(Bytes data, std::size_t size_max) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return fail(Errc::io, "zlib does not start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  Output out(size_max);
  while (true) {
    if (out.full()) SLUICE_TRY(out.grow());
    const MutableBytes room = out.room();
    stream.next_out = reinterpret_cast<Bytef*>(room.data());
    stream.avail_out = static_cast<uInt>(room.size());
    const int code = inflate(&stream, Z_NO_FLUSH);
    out.used(room.size() - stream.avail_out);
    if (code == Z_STREAM_END && stream.avail_in == 0) return out.take();
    if (code == Z_STREAM_END) {
      if (inflateReset(&stream) != Z_OK) return damaged("gzip");  // a further member follows
    } else if (code != Z_OK || (stream.avail_in == 0 && stream.avail_out != 0)) {
      return damaged("gzip");  // or ends before its end
    }
  }
}

Result<void> append_snappy(Bytes data, std::size_t size_max, Buffer& out) {
  const auto* chars = reinterpret_cast<const char*>(data.data());
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(chars, data.size(), &size)) return damaged("snappy");
  if (size > size_max - out.size())
    return fail(Errc::too_large, "compressed records expand to more than {} bytes", size_max);
  // Snappy copies at most 64 bytes per 3 bytes of input: a claim beyond that is a lie, not worth
  // the memory.
  if (size > data.size() * 64) return damaged("snappy");
  const std::size_t at = out.size();
  out.resize(at + size);
  if (!snappy::RawUncompress(chars, data.size(), reinterpret_cast<char*>(out.data() + at)))
    return damaged("snappy");
  return {};
}

// Java clients frame snappy as snappy-java (xerial) does: a magic, two versions, then chunks, each
// after its size.
constexpr std::array<unsigned char, 8> xerial_magic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

Result<Buffer> unsnappy(Bytes data, std::size_t size_max) {
  Buffer out;
  const bool framed =
      data.size() >= 16 && std::memcmp(data.data(), xerial_magic.data(), xerial_magic.size()) == 0;
  if (!framed) {
    SLUICE_TRY(append_snappy(data, size_max, out));
    return out;
  }
  Reader reader(data.subspan(16));
  while (reader.left() > 0) {
    const auto size = reader.read<std::uint32_t>();
    const Bytes chunk = reader.take(size);
    if (!reader.ok()) return damaged("snappy");
    SLUICE_TRY(append_snappy(chunk, size_max, out));
  }
  return out;
}

Result<Buffer> unlz4(Bytes data, std::size_t size_max) {
  LZ4F_dctx* context = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0)
    return fail(Errc::io, "lz4 does not start");
  const std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> guard(
      context, LZ4F_freeDecompressionContext);
  Output out(size_max);
  while (true) {
    if (out.full()) SLUICE_TRY(out.grow());
    const MutableBytes room = out.room();
    std::size_t produced = room.size();
    std::size_t consumed = data.size();
    const std::size_t hint =
        LZ4F_decompress(context, room.data(), &produced, data.data(), &consumed, nullptr);
    if (LZ4F_isError(hint) != 0) return damaged("lz4");
    out.used(produced);
    data = data.subspan(consumed);
    if (hint == 0 && data.empty()) return out.take();
    if (produced == 0 && consumed == 0) return damaged("lz4");  // ends before its end
  }
}

Result<Buffer> unzstd(Bytes data, std::size_t size_max) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                     ZSTD_freeDCtx);
  if (!context) return fail(Errc::io, "zstd does not start");
  ZSTD_inBuffer in{data.data(), data.size(), 0};
  Output out(size_max);
  while (true) {
    if (out.full()) SLUICE_TRY(out.grow());
    const MutableBytes room = out.room();
    ZSTD_outBuffer buffer{room.data(), room.size(), 0};
    const std::size_t before = in.pos;
    const std::size_t hint = ZSTD_decompressStream(context.get(), &buffer, &in);
    if (ZSTD_isError(hint) != 0) return damaged("zstd");
    out.used(buffer.pos);
    if (hint == 0 && in.pos == in.size) return out.take();
    if (buffer.pos == 0 && in.pos == before) return damaged("zstd");  // ends before its end
  }
}

Result<Buffer> gzip(Bytes data) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, MAX_MEM_LEVEL,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    return fail(Errc::io, "zlib does not start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, deflateEnd);
  Buffer out(deflateBound(&stream, data.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) return fail(Errc::io, "gzip does not end");
  out.resize(stream.total_out);
  return out;
}

Result<Buffer> ensnappy(Bytes data) {
  constexpr std::size_t chunk_size = 32 * 1024;  // as snappy-java
  Buffer out;
  Writer writer(out);
  for (const unsigned char byte : xerial_magic) writer.write<std::uint8_t>(byte);
  writer.write<std::int32_t>(1);  // version, and the oldest that can read it
  writer.write<std::int32_t>(1);
  while (!data.empty()) {
    const Bytes chunk = data.first(std::min(chunk_size, data.size()));
    data = data.subspan(chunk.size());
    std::string compressed;
    snappy::Compress(reinterpret_cast<const char*>(chunk.data()), chunk.size(), &compressed);
    writer.write<std::uint32_t>(static_cast<std::uint32_t>(compressed.size()));
    writer.write_text(compressed);
  }
  return out;
}

Result<Buffer> enlz4(Bytes data) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  Buffer out(LZ4F_compressFrameBound(data.size(), &preferences));
  const std::size_t size =
      LZ4F_compressFrame(out.data(), out.size(), data.data(), data.size(), &preferences);
  if (LZ4F_isError(size) != 0) return fail(Errc::io, "lz4: {}", LZ4F_getErrorName(size));
  out.resize(size);
  return out;
}

Result<Buffer> enzstd(Bytes data) {
  Buffer out(ZSTD_compressBound(data.size()));
  const std::size_t size =
      ZSTD_compress(out.data(), out.size(), data.data(), data.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size) != 0) return fail(Errc::io, "zstd: {}", ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

}  // namespace

Result<Buffer> decompress(Compression codec, Bytes data, std::size_t size_max) {
  switch (codec) {
    case Compression::none:
      if (data.size() > size_max)
        return fail(Errc::too_large, "records are larger than {} bytes", size_max);
      return Buffer(data.begin(), data.end());
    case Compression::gzip:
      return gunzip(data, size_max);
    case Compression::snappy:
      return unsnappy(data, size_max);
    case Compression::lz4:
      return unlz4(data, size_max);
    case Compression::zstd:
      return unzstd(data, size_max);
  }
  return fail(Errc::malformed, "compression {} is not known", static_cast<int>(codec));
}

Result<Buffer> compress(Compression codec, Bytes data) {
  switch (codec) {
    case Compression::none:
      return Buffer(data.begin(), data.end());
    case Compression::gzip:
      return gzip(data);
    case Compression::snappy:
      return ensnappy(data);
    case Compression::lz4:
      return enlz4(data);
    case Compression::zstd:
      return enzstd(data);
  }
  return fail(Errc::unsupported, "compression {} is not known", static_cast<int>(codec));
}

}  // namespace sluice::log
