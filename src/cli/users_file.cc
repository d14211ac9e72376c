#include "cli/users_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> failed(const std::string& path, std::string_view what) {
  return fail(Errc::io, "{}: {}: {}", path, what, std::strerror(errno));
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  [[nodiscard]] int get() const { return value_; }
  [[nodiscard]] bool valid() const { return value_ >= 0; }

 private:
  int value_;
};

// Held until it is closed; other commands wait.
Result<Descriptor> lock_directory(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return fail(Errc::io, "{}: {}", directory, error.message());
  Descriptor locked(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!locked.valid() || ::flock(locked.get(), LOCK_EX) != 0) return failed(directory, "open");
  return locked;
}

// Passwords are for nobody's eyes but the hub's, which may run as another user than root.
Result<void> take_owner_and_mode(int file, const std::string& path, int directory) {
  struct stat old{};
  const bool exists = ::stat(path.c_str(), &old) == 0;
  if (!exists && ::fstat(directory, &old) != 0) return failed(path, "stat");
  const mode_t mode = exists ? old.st_mode & 07777u : S_IRUSR | S_IWUSR;
  if (::geteuid() == 0 && ::fchown(file, old.st_uid, old.st_gid) != 0) return failed(path, "chown");
  if (::fchmod(file, mode) != 0) return failed(path, "chmod");
  return {};
}

Result<void> write_all(int file, const std::string& path, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed(path, "write");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> replace(const std::string& path, std::string_view text, int directory) {
  const std::string next = path + ".new";
  const Descriptor file(
      ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!file.valid()) return failed(next, "open");
  SLUICE_TRY(take_owner_and_mode(file.get(), path, directory));
  SLUICE_TRY(write_all(file.get(), next, text));
  if (::fsync(file.get()) != 0) return failed(next, "sync");
  if (::rename(next.c_str(), path.c_str()) != 0) return failed(path, "rename");
  if (::fsync(directory) != 0) return failed(path, "sync of its directory");
  return {};
}

}  // namespace

Result<access::UserTable> read_users(const std::string& path) {
  std::ifstream file(path);
  const int reason = errno;
  if (!file && reason == ENOENT) return access::UserTable();
  if (!file) return fail(Errc::io, "{}: {}", path, std::strerror(reason));
  return access::UserTable::parse(std::string(std::istreambuf_iterator<char>(file), {}), path);
}

Result<void> edit_users(const std::string& path,
                        const std::function<Result<void>(access::UserTable&)>& change) {
  const fs::path parent = fs::path(path).parent_path();
  SLUICE_TRY_ASSIGN(const Descriptor directory,
                    lock_directory(parent.empty() ? "." : parent.string()));
  SLUICE_TRY_ASSIGN(access::UserTable users, read_users(path));
  SLUICE_TRY(change(users));
  return replace(path, users.format(), directory.get());
}

}  // namespace sluice::cli
