#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice {

// An open file. Calls block; they are made on helper threads (runtime/worker.h) or before the
// shards run. Every error's text names the path. ENOSPC and EDQUOT are Errc::disk_full, a missing
// file or directory is Errc::not_found, everything else Errc::io.
class File {
 public:
  virtual ~File() = default;
  // Reads up to out.size() bytes; fewer only at the end of the file. Returns how many.
  virtual Result<std::size_t> read_at(std::uint64_t at, MutableBytes out) = 0;
  // Writes all pieces one after the other from `at` on, or fails; after a failure the content of
  // the range is unknown.
  virtual Result<void> write_at(std::uint64_t at, std::span<const Bytes> pieces) = 0;
  // Data and size are durable when it returns (fdatasync). After a failure nothing written since
  // the last success may be taken as durable, even if a later sync succeeds.
  virtual Result<void> sync() = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() = 0;
  // Asks for write-back of a range without waiting for it (sync_file_range). A hint.
  virtual void start_writeback(std::uint64_t at, std::uint64_t size) = 0;
};

// What devices and file systems want of direct I/O: place, size and memory are multiples of it.
constexpr std::size_t direct_block = 4096;
// Where the block that holds `at` begins, and where the first one begins that holds nothing before.
constexpr std::uint64_t block_before(std::uint64_t at) { return at / direct_block * direct_block; }
constexpr std::uint64_t block_after(std::uint64_t at) {
  return block_before(at + direct_block - 1);
}

enum class OpenMode : std::uint8_t {
  read,  // must exist
  // As read, but past the page cache where the file system can do that, for much that is read once.
  // Each read is of whole blocks into aligned memory (direct_block), whatever the file system; only
  // the end of the file cuts it short.
  read_direct,
  write,      // read and write; created if missing
  write_new,  // read and write; created, or cut to nothing if it exists
  // As write, but past the page cache where the file system can do that, for much that is written
  // and hardly ever read; from front to back, or in whole blocks (direct_block): what stood behind
  // a write in its last block is replaced by zeros, which count in the size that others see.
  write_direct,
};

// A directory tree: the data directory of a hub. Paths are relative to its root, use '/', and "" is
// the root itself. One implementation is the operating system, one is sim/ (which loses, tears and
// reorders what was not synced).
class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<void> make_dirs(const std::string& path) = 0;
  // Names in a directory, sorted; empty if the directory does not exist.
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  // Replaces `to` atomically. Durable after sync_dir of the directory.
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;  // a file; a missing one is no error
  virtual Result<void> remove_all(
      const std::string& path) = 0;  // a file or directory with all below it
  virtual Result<void> sync_dir(const std::string& path) = 0;
  virtual Result<void> sync_all() = 0;  // syncfs of the file system below the root
  virtual Result<std::uint64_t> free_bytes() = 0;
  // Changes with every boot of the machine: what a killed process had written is still there under
  // the same boot id, and may be lost under another.
  virtual std::string boot_id() = 0;
};

// The disk of the operating system, rooted at `root`, which is created if missing.
Result<std::unique_ptr<Disk>> open_os_disk(const std::string& root);

// Reads a whole file, at most `size_max` bytes (Errc::too_large beyond).
Result<Buffer> read_file(Disk& disk, const std::string& path, std::uint64_t size_max);
// Writes path.new, syncs it, renames it to path, syncs the directory.
Result<void> replace_file(Disk& disk, const std::string& path, Bytes content);

// Held while a process uses a data directory; a second one gets Errc::busy with the holder's pid in
// the text.
class DirectoryLock {
 public:
  static Result<DirectoryLock> take(const std::string& root);
  DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace sluice
