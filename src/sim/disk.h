#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/random.h"

namespace sluice::sim {

// Thrown out of the disk operation at which crash_at() strikes. The simulation's main loop catches
// it, destroys what ran on the machine, calls crash() or kill() on the disk and starts anew. Until
// then every further operation fails.
struct Crashed {};

// A disk in memory that loses, tears and reorders what was not synced, by seed. For one thread.
//
// Content: see UnsyncedContent. Names: each directory keeps its creations, renames and removals in
// order; a crash leaves some number of the first of those made since the last sync_dir of *that*
// directory, each directory for itself; one rename is one step. File::sync makes data and size
// durable but no name: a new file, and a new directory, needs sync_dir of the directory it lies in.
// A file whose name is lost is gone. rename() stays in one directory.
//
// A file that was open at a crash or kill answers Errc::closed from then on.
class SimDisk : public Disk {
 public:
  explicit SimDisk(std::uint64_t seed);
  ~SimDisk() override;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> make_dirs(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> remove_all(const std::string& path) override;
  Result<void> sync_dir(const std::string& path) override;
  Result<void> sync_all() override;
  Result<std::uint64_t> free_bytes() override;
  std::string boot_id() override;

  // The machine loses power: what was not synced is partly gone, boot_id() is another one. The disk
  // then shows what the restarted machine finds, all of it durable.
  void crash();
  // The process dies: all it wrote is still there, and still as volatile as before; boot_id()
  // stays.
  void kill();

  // Operations so far that change something (open that creates, write, truncate, sync, rename,
  // ...).
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  // Throws Crashed instead of doing the operation of that number (as operations() counts, from 0).
  void crash_at(std::uint64_t operation) { crash_at_ = operation; }

  // Bytes of all files together; a write beyond fails with Errc::disk_full and leaves a part of
  // itself.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  // The next `count` calls of File::sync and sync_all fail with Errc::io.
  void fail_next_syncs(std::uint32_t count) { failing_syncs_ = count; }
  // Flips a bit of the byte at `at`. The file must exist and be that long.
  void corrupt(const std::string& path, std::uint64_t at);

 private:
  struct Node;
  struct FileNode;
  struct DirNode;
  class OpenFile;

  // One step of a directory: these names got other nodes (null: no such name); what they meant
  // before.
  struct NameChange {
    std::string name;
    std::shared_ptr<Node> before;
  };
  using Step = std::vector<NameChange>;

  Result<void> begin_operation();
  Result<void> check_open(std::uint64_t life, const std::string& path) const;
  bool take_sync_failure();
  [[nodiscard]] std::shared_ptr<Node> find(const std::string& path) const;
  [[nodiscard]] std::shared_ptr<DirNode> find_dir(const std::string& path) const;
  Result<void> unlink(DirNode& dir, const std::string& name);
  void set_name(DirNode& dir, const std::string& name, std::shared_ptr<Node> node, Step& step);
  static void count_links(DirNode& dir, std::uint64_t& used);

  Random random_;
  std::shared_ptr<DirNode> root_;
  std::uint64_t capacity_ = std::uint64_t{1} << 40;
  std::uint64_t used_ = 0;  // by files that have a name
  std::uint64_t operations_ = 0;
  std::uint64_t crash_at_ = UINT64_MAX;
  std::uint32_t failing_syncs_ = 0;
  bool crashed_ = false;
  std::uint64_t life_ = 0;  // grows with each crash and kill
  std::uint64_t boots_ = 1;
};

}  // namespace sluice::sim
