#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/file_descriptor.h"

namespace sluice::runtime {

// A Unix socket that this process listens on, and its file. Several loops may share it; any thread.
// The file goes with the last of them.
//
// Failure: a file that a dead process has left is replaced; one that a living process listens on,
// or that is no socket, is left alone and named.
class UnixSocket {
 public:
  // Longest path in bytes: what sockaddr_un has room for, and an end.
  static constexpr std::size_t path_max = 107;

  // Makes the file for its owner only (mode 0600); whoever is to let others in changes that. A
  // second open() of a path gives the socket that is there.
  static Result<std::shared_ptr<UnixSocket>> open(const std::string& path, int backlog);
  ~UnixSocket();
  UnixSocket(const UnixSocket&) = delete;
  UnixSocket& operator=(const UnixSocket&) = delete;

  // A descriptor of its own for a loop.
  [[nodiscard]] Result<FileDescriptor> duplicate() const;

 private:
  UnixSocket(std::string path, FileDescriptor fd);
  [[nodiscard]] bool owns_file() const;

  std::string path_;
  FileDescriptor fd_;
  // Of the file that was made, so that a successor's is not removed.
  unsigned long device_ = 0;
  unsigned long inode_ = 0;
};

// "unix:pid=4711,uid=1000": what the system knows of a peer, which has no address.
std::string unix_peer_of(int fd);

}  // namespace sluice::runtime
