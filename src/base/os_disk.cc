#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/assert.h"
#include "base/direct_file.h"
#include "base/disk.h"
#include "base/random.h"

namespace sluice {
namespace {

std::unexpected<Error> os_error(std::string_view what, const std::string& path, int error) {
  Errc code = Errc::io;
  if (error == ENOSPC || error == EDQUOT) code = Errc::disk_full;
  if (error == ENOENT) code = Errc::not_found;
  return fail(code, "cannot {} {}: {}", what, path, std::generic_category().message(error));
}

// Runs a system call again for as long as a signal interrupts it.
template <class Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

Result<void> make_dirs_at(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return os_error("make directory", path, error.value());
  return {};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// `path` is the whole path, for error texts. Reads go in units of `read_unit`.
class OsFile final : public File {
 public:
  OsFile(int fd, std::string path, std::size_t read_unit = 1)
      : fd_(fd), path_(std::move(path)), read_unit_(read_unit) {}

  Result<std::size_t> read_at(std::uint64_t at, MutableBytes out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const auto rest = out.subspan(done);
      const auto count = retry([&] {
        return ::pread(fd_.get(), rest.data(), rest.size(), static_cast<off_t>(at + done));
      });
      if (count < 0) return os_error("read", path_, errno);
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
      if (done % read_unit_ != 0) break;  // the file ends here, where no unit begins
    }
    return done;
  }

  Result<void> write_at(std::uint64_t at, std::span<const Bytes> pieces) override {
    std::size_t skip = 0;  // bytes of the first piece that are written already
    while (!pieces.empty()) {
      std::array<iovec, vectors_max> vectors;
      const int vector_count = gather(pieces, skip, vectors);
      const auto count = retry([&] {
        return ::pwritev(fd_.get(), vectors.data(), vector_count, static_cast<off_t>(at));
      });
      if (count < 0) return os_error("write", path_, errno);
      at += static_cast<std::uint64_t>(count);
      skip += static_cast<std::size_t>(count);
      while (!pieces.empty() && skip >= pieces.front().size()) {
        skip -= pieces.front().size();
        pieces = pieces.subspan(1);
      }
    }
    return {};
  }

  Result<void> sync() override {
    if (retry([&] { return ::fdatasync(fd_.get()); }) < 0) return os_error("sync", path_, errno);
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    if (retry([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) < 0) {
      return os_error("truncate", path_, errno);
    }
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat status;
    if (::fstat(fd_.get(), &status) < 0) return os_error("get the size of", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

  void start_writeback(std::uint64_t at, std::uint64_t size) override {
    ::sync_file_range(fd_.get(), static_cast<off_t>(at), static_cast<off_t>(size),
                      SYNC_FILE_RANGE_WRITE);
  }

 private:
  static constexpr std::size_t vectors_max = 256;
  static_assert(vectors_max <= IOV_MAX);

  static int gather(std::span<const Bytes> pieces, std::size_t skip,
                    std::array<iovec, vectors_max>& vectors) {
    const std::size_t count = std::min(pieces.size(), vectors_max);
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes piece = i == 0 ? pieces[i].subspan(skip) : pieces[i];
      vectors[i] = {const_cast<std::byte*>(piece.data()), piece.size()};
    }
    return static_cast<int>(count);
  }

  Descriptor fd_;
  std::string path_;
  std::size_t read_unit_;
};

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
    case OpenMode::read_direct:
      return O_RDONLY;
    case OpenMode::write:
    case OpenMode::write_direct:
      return O_RDWR | O_CREAT;
    case OpenMode::write_new:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  SLUICE_ASSERT(false && "no such open mode");
  return 0;
}

// Whether blocks of ours are good enough for direct I/O on this file; kernels before 6.1 don't
// tell.
bool takes_direct_blocks(int fd) {
  struct statx status{};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) < 0) return true;
  if ((status.stx_mask & STATX_DIOALIGN) == 0) return true;
  const auto fits = [](std::uint32_t align) { return align > 0 && direct_block % align == 0; };
  return fits(status.stx_dio_mem_align) && fits(status.stx_dio_offset_align);
}

// Where the kernel does not tell (some sandboxes), every start counts as a new boot: the careful
// answer.
std::string read_boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id.empty() ? fmt::format("unknown-{:016x}", Random::from_os().next()) : id;
}

class OsDisk final : public Disk {
 public:
  explicit OsDisk(std::string root) : root_(std::move(root)), boot_id_(read_boot_id()) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    const std::string full = full_path(path);
    const int fd = open_file(full, open_flags(mode));
    if (fd < 0) return os_error("open", full, errno);
    auto file = std::make_unique<OsFile>(fd, full);
    const bool reads = mode == OpenMode::read_direct;
    if (!reads && mode != OpenMode::write_direct) return file;
    if (!takes_direct_blocks(fd)) return file;
    const int direct_fd = open_file(full, (reads ? O_RDONLY : O_WRONLY) | O_DIRECT);
    if (direct_fd < 0) return file;  // this file system has no direct I/O
    auto direct = std::make_unique<OsFile>(direct_fd, full, direct_block);
    if (reads) return direct;
    return std::make_unique<DirectFile>(std::move(file), std::move(direct));
  }

  Result<void> make_dirs(const std::string& path) override { return make_dirs_at(full_path(path)); }

  Result<std::vector<std::string>> list(const std::string& path) override {
    const std::string full = full_path(path);
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(full, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      names.push_back(entry->path().filename().string());
    }
    if (error && error.value() != ENOENT) return os_error("list", full, error.value());
    std::ranges::sort(names);
    return names;
  }

  Result<bool> exists(const std::string& path) override {
    const std::string full = full_path(path);
    if (::access(full.c_str(), F_OK) == 0) return true;
    if (errno == ENOENT) return false;
    return os_error("look for", full, errno);
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    const std::string full_from = full_path(from);
    const std::string full_to = full_path(to);
    if (::rename(full_from.c_str(), full_to.c_str()) < 0) {
      return os_error("rename", full_from + " to " + full_to, errno);
    }
    return {};
  }

  Result<void> remove(const std::string& path) override {
    const std::string full = full_path(path);
    if (::unlink(full.c_str()) < 0 && errno != ENOENT) return os_error("remove", full, errno);
    return {};
  }

  Result<void> remove_all(const std::string& path) override {
    const std::string full = full_path(path);
    std::error_code error;
    std::filesystem::remove_all(full, error);
    if (error) return os_error("remove", full, error.value());
    return {};
  }

  Result<void> sync_dir(const std::string& path) override {
    return with_directory(full_path(path), "sync directory", ::fsync);
  }

  Result<void> sync_all() override {
    return with_directory(root_, "sync the file system of", ::syncfs);
  }

  Result<std::uint64_t> free_bytes() override {
    struct statvfs status;
    if (::statvfs(root_.c_str(), &status) < 0) {
      return os_error("get the free space of", root_, errno);
    }
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
  }

  std::string boot_id() override { return boot_id_; }

 private:
  static int open_file(const std::string& path, int flags) {
    return retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0640); });
  }

  [[nodiscard]] std::string full_path(const std::string& path) const {
    return path.empty() ? root_ : root_ + '/' + path;
  }

  static Result<void> with_directory(const std::string& path, std::string_view what,
                                     int (*call)(int)) {
    const Descriptor directory(
        retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (directory.get() < 0) return os_error("open directory", path, errno);
    if (retry([&] { return call(directory.get()); }) < 0) return os_error(what, path, errno);
    return {};
  }

  std::string root_;
  std::string boot_id_;
};

std::string holder_of(int lock_fd) {
  std::array<char, 20> text{};
  const auto count = ::pread(lock_fd, text.data(), text.size(), 0);
  std::string_view pid(text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  pid = pid.substr(0, pid.find('\n'));
  return pid.empty() ? "another process" : fmt::format("process {}", pid);
}

}  // namespace

Result<std::unique_ptr<Disk>> open_os_disk(const std::string& root) {
  SLUICE_TRY(make_dirs_at(root));
  return std::make_unique<OsDisk>(root);
}

Result<DirectoryLock> DirectoryLock::take(const std::string& root) {
  SLUICE_TRY(make_dirs_at(root));
  const std::string path = root + "/lock";
  Descriptor fd(retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640); }));
  if (fd.get() < 0) return os_error("open", path, errno);
  if (retry([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) < 0) {
    if (errno != EWOULDBLOCK) return os_error("lock", path, errno);
    return fail(Errc::busy, "data directory {} is in use by {}", root, holder_of(fd.get()));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  const bool written = ::ftruncate(fd.get(), 0) == 0 &&
                       ::pwrite(fd.get(), pid.data(), pid.size(), 0) == std::ssize(pid);
  if (!written) return os_error("write", path, errno);
  return DirectoryLock(fd.release());
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace sluice
