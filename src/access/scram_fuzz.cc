// Two messages of a client, apart by a newline: whatever they are, nobody gets in without the
// password, and an answer to the first one repeats the client's nonce.

#include <cstdlib>
#include <string_view>

#include "access/scram.h"

namespace {

using namespace sluice;
using namespace sluice::access;

Credential unknown_password() {
  static const Credential credential =
      make_credential(Digest::sha256, random_bytes(32), random_bytes(16), iterations_min);
  return credential;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const auto newline = in.find('\n');
  const auto first = in.substr(0, newline);
  const auto second = newline == in.npos ? std::string_view() : in.substr(newline + 1);

  ScramServer server(Digest::sha256, "server");
  const auto answer =
      server.on_client_first(first, [](auto) -> Result<Credential> { return unknown_password(); });
  if (answer) {
    const auto nonce = std::string_view(*answer).substr(2, answer->find("server,s=") - 2);
    if (!answer->starts_with("r=") || first.find(nonce) == first.npos || server.user().empty())
      std::abort();
  }
  if (server.on_client_final(second)) std::abort();
  return 0;
}
