#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/loop.h"

// The header of the PROXY protocol, versions 1 and 2, by which a load balancer tells the address of
// the client it speaks for (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
namespace sluice::net {

struct ProxyHeader {
  std::size_t size;  // bytes; the client's own begin behind them
  // None: the connection is the proxy's own (LOCAL), or it does not tell (UNKNOWN, UNSPEC, a Unix
  // socket).
  std::optional<runtime::Endpoint> client;
};

// Of a header with all its extensions (TLV), which are passed over. The largest known hold a
// client's certificate name and some ids of a cloud.
constexpr std::size_t proxy_header_max = 4096;

// Takes the header off the start of `in`; nothing: more is needed. Errc::malformed says what is
// wrong, as soon as it can be seen.
Result<std::optional<ProxyHeader>> decode_proxy_header(Bytes in);

}  // namespace sluice::net
