#include "runtime/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace sluice::runtime {

namespace {

auto failure(const std::string& path) {
  return fail(Errc::io, "cannot listen on unix:{}: {}", path, std::strerror(errno));
}

sockaddr_un to_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

FileDescriptor make_socket() {
  return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

bool bind_to(const FileDescriptor& fd, const std::string& path) {
  const sockaddr_un address = to_address(path);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// A socket file outlives its process; then connections to it are refused.
bool is_left_over(const std::string& path) {
  const FileDescriptor probe = make_socket();
  const sockaddr_un address = to_address(path);
  const int done =
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return done != 0 && errno == ECONNREFUSED;
}

Result<void> remove_left_over(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return failure(path);
  if (!S_ISSOCK(status.st_mode))
    return fail(Errc::exists, "cannot listen on unix:{}: there is a file that is no socket", path);
  if (!is_left_over(path))
    return fail(Errc::exists, "cannot listen on unix:{}: another process listens there", path);
  if (::unlink(path.c_str()) != 0) return failure(path);
  return {};
}

// What this process listens on, for all its loops.
struct OpenSockets {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<UnixSocket>> by_path;
};

OpenSockets& open_sockets() {
  static OpenSockets sockets;
  return sockets;
}

}  // namespace

Result<std::shared_ptr<UnixSocket>> UnixSocket::open(const std::string& path, int backlog) {
  if (path.empty() || path.size() > path_max)
    return fail(Errc::invalid, "unix:{}: a path of 1 to {} bytes is needed", path, path_max);
  OpenSockets& sockets = open_sockets();
  const std::lock_guard lock(sockets.mutex);
  if (auto shared = sockets.by_path[path].lock()) return shared;

  FileDescriptor fd = make_socket();
  if (!fd.valid()) return failure(path);
  if (!bind_to(fd, path)) {
    if (errno != EADDRINUSE) return failure(path);
    SLUICE_TRY(remove_left_over(path));
    if (!bind_to(fd, path)) return failure(path);
  }
  std::shared_ptr<UnixSocket> made(new UnixSocket(path, std::move(fd)));
  // Before listen() nobody can connect, whatever the umask has made of the file.
  if (::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) return failure(path);
  if (::listen(made->fd_.get(), backlog) != 0) return failure(path);
  sockets.by_path[path] = made;
  return made;
}

UnixSocket::UnixSocket(std::string path, FileDescriptor fd)
    : path_(std::move(path)), fd_(std::move(fd)) {
  struct stat status{};
  if (::lstat(path_.c_str(), &status) != 0) return;
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

UnixSocket::~UnixSocket() {
  if (owns_file()) ::unlink(path_.c_str());
}

bool UnixSocket::owns_file() const {
  struct stat status{};
  return ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
         status.st_ino == inode_;
}

Result<FileDescriptor> UnixSocket::duplicate() const {
  FileDescriptor copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return failure(path_);
  return copy;
}

std::string unix_peer_of(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return "unix:";
  return fmt::format("unix:pid={},uid={}", peer.pid, peer.uid);
}

}  // namespace sluice::runtime
