#include "net/proxy_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::net {

namespace {

using runtime::Transfer;

constexpr std::size_t read_size = 512;  // a header nearly always fits

}  // namespace

Transfer ProxyStream::receive(MutableBytes into) {
  if (failed()) return {Transfer::State::closed, 0};
  if (!open_) {
    const Transfer header = receive_header();
    if (!open_) return header;
  }
  if (buffered_.empty()) return below_.receive(into);
  const std::size_t count = std::min(into.size(), buffered_.size());
  std::memcpy(into.data(), buffered_.data(), count);
  buffered_.erase_front(count);
  if (buffered_.empty()) buffered_ = {};
  return {Transfer::State::ok, count};
}

// Until the header is whole, or nothing more is there. Returns what stopped it.
Transfer ProxyStream::receive_header() {
  for (;;) {
    const std::size_t had = buffered_.size();
    buffered_.resize(had + read_size);
    const Transfer got = below_.receive(MutableBytes(buffered_).subspan(had));
    buffered_.resize(had + got.bytes);
    if (got.bytes == 0) return got;
    auto header = decode_proxy_header(buffered_);
    if (!header) {
      failure_ = {Failure::Kind::proxy, "proxy protocol: " + header.error().text};
      return {Transfer::State::closed, 0};
    }
    if (!*header) continue;
    buffered_.erase_front((*header)->size);
    client_ = std::move((*header)->client);
    open_ = true;
    return got;
  }
}

Transfer ProxyStream::send(std::span<const Bytes> pieces) {
  if (failed()) return {Transfer::State::closed, 0};
  if (!open_) return {Transfer::State::would_block, 0};
  return below_.send(pieces);
}

}  // namespace sluice::net
