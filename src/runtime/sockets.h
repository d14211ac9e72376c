#pragma once

#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/file_descriptor.h"
#include "runtime/loop.h"

// TCP by system calls. All sockets are non-blocking and close-on-exec.
namespace sluice::runtime {

// Bound with SO_REUSEPORT, for one listener a shard; but an endpoint that another process listens
// on is refused, whatever options that one has set.
Result<FileDescriptor> open_listener(const Endpoint& endpoint);
// -1 and errno as accept(2). Nagle's algorithm is off: whoever sends has gathered already.
int accept_connection(int listener);

Transfer receive_some(int fd, MutableBytes into);
// One system call, of the first 256 pieces at most.
Transfer send_some(int fd, std::span<const Bytes> pieces);

Endpoint local_endpoint_of(int fd);
Endpoint peer_endpoint_of(int fd);

}  // namespace sluice::runtime
