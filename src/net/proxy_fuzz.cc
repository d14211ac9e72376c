// The input is what a connection begins with. Laws: a header is taken or refused alike however
// little of it is there, for as soon as a part is enough the rest changes nothing; it is within its
// bound; a client's address has a text that reads as the same address; a stream gives what stands
// behind the header, and nothing else.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "net/proxy_stream.h"

namespace sluice::net {
namespace {

void check(bool law) {
  if (!law) std::abort();
}

// Gives `in` in pieces of at most `step` bytes.
class Source final : public ByteStream {
 public:
  Source(Bytes in, std::size_t step) : in_(in), step_(step) {}
  runtime::Transfer receive(MutableBytes into) override {
    const std::size_t count = std::min({into.size(), in_.size(), step_});
    if (count == 0) return {runtime::Transfer::State::would_block, 0};
    std::copy_n(in_.begin(), count, into.begin());
    in_ = in_.subspan(count);
    return {runtime::Transfer::State::ok, count};
  }
  runtime::Transfer send(std::span<const Bytes>) override { return {}; }
  [[nodiscard]] bool has_more() const override { return false; }
  [[nodiscard]] bool open() const override { return true; }
  [[nodiscard]] bool has_unsent() const override { return false; }
  void flush() override {}
  void finish() override {}
  [[nodiscard]] const Failure& failure() const override { return failure_; }

 private:
  Bytes in_;
  std::size_t step_;
  Failure failure_;
};

void check_parts(Bytes in, const Result<std::optional<ProxyHeader>>& whole) {
  for (std::size_t size = 0; size < std::min(in.size(), proxy_header_max + 1); ++size) {
    const auto part = decode_proxy_header(in.first(size));
    if (!part) {
      check(!whole && whole.error().text == part.error().text);
    } else if (*part) {
      check(whole && *whole && (*whole)->size == (*part)->size &&
            (*whole)->client == (*part)->client);
    }
  }
}

void check_header(const ProxyHeader& header, std::size_t available) {
  check(header.size <= available && header.size <= proxy_header_max);
  if (!header.client) return;
  const auto again = runtime::parse_endpoint(runtime::to_string(*header.client));
  check(again && *again == *header.client);
}

void check_stream(Bytes in, std::size_t step, const Result<std::optional<ProxyHeader>>& whole) {
  Source source(in, step);
  ProxyStream stream(source);
  Buffer out;
  Buffer into(7);
  for (;;) {
    const auto got = stream.receive(into);
    if (got.bytes == 0) break;
    append(out, Bytes(into).first(got.bytes));
  }
  check((stream.failure().kind != Failure::Kind::none) == !whole);
  check(stream.open() == (whole && *whole));
  const Bytes expected = stream.open() ? in.subspan((*whole)->size) : Bytes();
  check(std::ranges::equal(Bytes(out), expected));
  check(!stream.open() || stream.client() == (*whole)->client);
}

}  // namespace
}  // namespace sluice::net

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::net;
  const sluice::Bytes in(reinterpret_cast<const std::byte*>(data), size);
  const auto whole = decode_proxy_header(in);
  check(whole || !whole.error().text.empty());
  if (whole && *whole) check_header(**whole, size);
  check_parts(in, whole);
  for (const std::size_t step : {1u, 13u, 1000u}) check_stream(in, step, whole);
  return 0;
}
