// The input is an HTTP request. Laws: however it is split, the answer is the same and the same
// bytes belong to it; the answer is HTTP; nothing is taken beyond the limit.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "net/upgrade.h"

namespace sluice::net {
namespace {

void check(bool law) {
  if (!law) std::abort();
}

struct Outcome {
  std::string response;
  std::string refusal;
  std::size_t taken = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome feed(Bytes in, std::size_t first, std::size_t step) {
  const AllowedOrigins origins{{"https://console.example.org"}};
  UpgradeRequest request(origins);
  Outcome outcome;
  std::size_t size = first;
  while (!in.empty() && !request.done()) {
    const Bytes part = in.first(std::min(size, in.size()));
    const std::size_t taken = request.feed(part);
    check(request.done() || taken == part.size());
    outcome.taken += taken;
    in = in.subspan(taken);
    size = step;
  }
  outcome.response = request.response();
  outcome.refusal = request.refusal();
  return outcome;
}

}  // namespace
}  // namespace sluice::net

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::net;
  const sluice::Bytes in(reinterpret_cast<const std::byte*>(data), size);
  const Outcome whole = feed(in, std::max<std::size_t>(size, 1), 1);
  const bool accepted = whole.response.starts_with("HTTP/1.1 101 ");
  check(!accepted || whole.taken <= UpgradeRequest::size_max);
  check(whole.response.empty() || accepted == whole.refusal.empty());
  // What was refused is taken whole, to be forgotten.
  for (const std::size_t step : {1u, 2u, 7u, 100u}) {
    const Outcome split = feed(in, step, step);
    check(split.response == whole.response);
    if (accepted) check(split == whole);
  }
  return 0;
}
