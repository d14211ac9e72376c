#include "sim/disk.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.h"
#include "base/direct_file.h"
#include "sim/unsynced_content.h"

namespace sluice::sim {

namespace {

struct SplitPath {
  std::string dir;
  std::string name;
};

SplitPath split(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

// The first component of `rest`, which loses it; empty and "." are skipped.
std::string_view next_name(std::string_view& rest) {
  while (!rest.empty()) {
    const auto name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    if (!name.empty() && name != ".") return name;
  }
  return {};
}

auto no_such_file(const std::string& path) {
  return fail(Errc::io, "{}: no such file or directory", path);
}

}  // namespace

struct SimDisk::Node {
  virtual ~Node() = default;
  virtual void sync(bool succeeds) = 0;
  virtual void crash(Random& random) = 0;
};

struct SimDisk::FileNode : Node {
  UnsyncedContent content;
  bool linked = false;  // counts in used_

  void sync(bool succeeds) override { succeeds ? content.sync() : content.sync_failed(); }
  void crash(Random& random) override { content.crash(random); }
};

struct SimDisk::DirNode : Node {
  std::map<std::string, std::shared_ptr<Node>> names;
  std::vector<Step> unsynced;

  void sync(bool succeeds) override {
    if (succeeds) unsynced.clear();
    for (auto& [name, node] : names) node->sync(succeeds);
  }

  void crash(Random& random) override {
    const auto kept = random.below(unsynced.size() + 1);
    for (; unsynced.size() > kept; unsynced.pop_back()) undo(unsynced.back());
    unsynced.clear();
    for (auto& [name, node] : names) node->crash(random);
  }

  void undo(Step& step) {
    for (auto change = step.rbegin(); change != step.rend(); ++change) {
      if (change->before) {
        names[change->name] = std::move(change->before);
      } else {
        names.erase(change->name);
      }
    }
  }

  std::shared_ptr<Node> get(const std::string& name) const {
    const auto found = names.find(name);
    return found == names.end() ? nullptr : found->second;
  }
};

class SimDisk::OpenFile : public File {
 public:
  // Whoever passes the page cache must keep to whole blocks.
  enum class Cache : std::uint8_t { used, passed };

  OpenFile(SimDisk& disk, std::string path, std::shared_ptr<FileNode> node, bool writable,
           Cache cache)
      : disk_(disk),
        path_(std::move(path)),
        node_(std::move(node)),
        life_(disk.life_),
        writable_(writable),
        cache_(cache) {}

  Result<std::size_t> read_at(std::uint64_t at, MutableBytes out) override {
    check_blocks(at, out);
    SLUICE_TRY(disk_.check_open(life_, path_));
    return node_->content.read(at, out);
  }

  Result<void> write_at(std::uint64_t at, std::span<const Bytes> pieces) override {
    SLUICE_TRY(begin_change());
    for (const auto piece : pieces) {
      check_blocks(at, piece);
      const auto part = piece.first(room_for(at, piece.size()));
      resized([&](UnsyncedContent& content) { content.write(at, part); });
      if (part.size() < piece.size()) return fail(Errc::disk_full, "{}: no space left", path_);
      at += piece.size();
    }
    return {};
  }

  Result<void> sync() override {
    SLUICE_TRY(disk_.check_open(life_, path_));
    SLUICE_TRY(disk_.begin_operation());
    const bool fails = disk_.take_sync_failure();
    node_->sync(!fails);
    if (fails) return fail(Errc::io, "{}: sync failed", path_);
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    SLUICE_TRY(begin_change());
    const auto old_size = node_->content.size();
    if (size > old_size && room_for(old_size, size - old_size) < size - old_size) {
      return fail(Errc::disk_full, "{}: no space left", path_);
    }
    resized([&](UnsyncedContent& content) { content.truncate(size); });
    return {};
  }

  Result<std::uint64_t> size() override {
    SLUICE_TRY(disk_.check_open(life_, path_));
    return node_->content.size();
  }

  void start_writeback(std::uint64_t, std::uint64_t) override {}

 private:
  Result<void> begin_change() {
    SLUICE_TRY(disk_.check_open(life_, path_));
    if (!writable_) return fail(Errc::io, "{}: opened for reading only", path_);
    return disk_.begin_operation();
  }

  void check_blocks(std::uint64_t at, Bytes memory) const {
    if (cache_ == Cache::used) return;
    const auto address = std::bit_cast<std::uintptr_t>(memory.data());
    SLUICE_ASSERT((at | memory.size() | address) % direct_block == 0);
  }

  // How many of `count` bytes at `at` fit on the disk; what overwrites takes no room.
  [[nodiscard]] std::size_t room_for(std::uint64_t at, std::uint64_t count) const {
    const auto limit =
        node_->content.size() + disk_.capacity_ - std::min(disk_.capacity_, disk_.used_);
    return std::min(count, limit - std::min(limit, at));
  }

  template <class Change>
  void resized(Change change) {
    const auto before = node_->content.size();
    change(node_->content);
    if (node_->linked) disk_.used_ += node_->content.size() - before;
  }

  SimDisk& disk_;
  std::string path_;
  std::shared_ptr<FileNode> node_;
  std::uint64_t life_;
  bool writable_;
  Cache cache_;
};

SimDisk::SimDisk(std::uint64_t seed) : random_(seed), root_(std::make_shared<DirNode>()) {}
SimDisk::~SimDisk() = default;

Result<std::unique_ptr<File>> SimDisk::open(const std::string& path, OpenMode mode) {
  SLUICE_TRY(check_open(life_, path));
  const bool writable = mode != OpenMode::read && mode != OpenMode::read_direct;
  auto node = std::dynamic_pointer_cast<FileNode>(find(path));
  if (!node) {
    if (!writable) return no_such_file(path);
    const auto [dir_path, name] = split(path);
    const auto dir = find_dir(dir_path);
    if (!dir) return no_such_file(dir_path);
    if (dir->get(name)) return fail(Errc::io, "{}: is a directory", path);
    SLUICE_TRY(begin_operation());
    node = std::make_shared<FileNode>();
    set_name(*dir, name, node, dir->unsynced.emplace_back());
  }
  const auto open_as = [&](OpenFile::Cache cache) {
    return std::make_unique<OpenFile>(*this, path, node, writable, cache);
  };
  if (mode == OpenMode::read_direct) return open_as(OpenFile::Cache::passed);
  auto file = open_as(OpenFile::Cache::used);
  if (mode == OpenMode::write_direct)
    return std::make_unique<DirectFile>(std::move(file), open_as(OpenFile::Cache::passed));
  if (mode == OpenMode::write_new) SLUICE_TRY(file->truncate(0));
  return file;
}

Result<void> SimDisk::make_dirs(const std::string& path) {
  SLUICE_TRY(check_open(life_, path));
  auto dir = root_;
  std::string_view rest = path;
  for (auto name = next_name(rest); !name.empty(); name = next_name(rest)) {
    const std::string key(name);
    auto child = std::dynamic_pointer_cast<DirNode>(dir->get(key));
    if (!child) {
      if (dir->get(key)) return fail(Errc::io, "{}: {} is not a directory", path, key);
      SLUICE_TRY(begin_operation());
      child = std::make_shared<DirNode>();
      set_name(*dir, key, child, dir->unsynced.emplace_back());
    }
    dir = std::move(child);
  }
  return {};
}

Result<std::vector<std::string>> SimDisk::list(const std::string& path) {
  SLUICE_TRY(check_open(life_, path));
  std::vector<std::string> names;
  if (const auto dir = find_dir(path)) {
    for (const auto& [name, node] : dir->names) names.push_back(name);
  }
  return names;
}

Result<bool> SimDisk::exists(const std::string& path) {
  SLUICE_TRY(check_open(life_, path));
  return find(path) != nullptr;
}

Result<void> SimDisk::rename(const std::string& from, const std::string& to) {
  SLUICE_TRY(begin_operation());
  const auto source = split(from);
  const auto target = split(to);
  if (source.dir != target.dir)
    return fail(Errc::invalid, "rename {} to {}: another directory", from, to);
  const auto dir = find_dir(source.dir);
  const auto node = dir ? dir->get(source.name) : nullptr;
  if (!node) return no_such_file(from);
  if (from == to) return {};
  auto& step = dir->unsynced.emplace_back();
  set_name(*dir, source.name, nullptr, step);
  set_name(*dir, target.name, node, step);
  return {};
}

Result<void> SimDisk::remove(const std::string& path) {
  SLUICE_TRY(begin_operation());
  const auto [dir_path, name] = split(path);
  const auto dir = find_dir(dir_path);
  const auto node = dir ? dir->get(name) : nullptr;
  if (!node) return {};
  if (!std::dynamic_pointer_cast<FileNode>(node)) return fail(Errc::io, "{}: is a directory", path);
  set_name(*dir, name, nullptr, dir->unsynced.emplace_back());
  return {};
}

Result<void> SimDisk::remove_all(const std::string& path) {
  SLUICE_TRY(check_open(life_, path));
  const auto [dir_path, name] = split(path);
  const auto dir = find_dir(dir_path);
  if (!dir || !dir->get(name)) return {};
  return unlink(*dir, name);
}

// Children first, one step each, as a file system does it: a crash may leave half a tree.
Result<void> SimDisk::unlink(DirNode& dir, const std::string& name) {
  if (const auto child = std::dynamic_pointer_cast<DirNode>(dir.get(name))) {
    while (!child->names.empty())
      SLUICE_TRY(unlink(*child, std::string(child->names.begin()->first)));
  }
  SLUICE_TRY(begin_operation());
  set_name(dir, name, nullptr, dir.unsynced.emplace_back());
  return {};
}

Result<void> SimDisk::sync_dir(const std::string& path) {
  SLUICE_TRY(begin_operation());
  const auto dir = find_dir(path);
  if (!dir) return no_such_file(path);
  dir->unsynced.clear();
  return {};
}

Result<void> SimDisk::sync_all() {
  SLUICE_TRY(begin_operation());
  const bool fails = take_sync_failure();
  root_->sync(!fails);
  if (fails) return fail(Errc::io, "sync of the file system failed");
  return {};
}

Result<std::uint64_t> SimDisk::free_bytes() { return capacity_ - std::min(capacity_, used_); }

std::string SimDisk::boot_id() { return fmt::format("simulated-boot-{}", boots_); }

void SimDisk::crash() {
  kill();
  ++boots_;
  root_->crash(random_);
  used_ = 0;
  count_links(*root_, used_);
}

void SimDisk::kill() {
  crashed_ = false;
  crash_at_ = UINT64_MAX;
  ++life_;
}

void SimDisk::corrupt(const std::string& path, std::uint64_t at) {
  const auto node = std::dynamic_pointer_cast<FileNode>(find(path));
  SLUICE_ASSERT(node != nullptr);
  node->content.flip_bit(at);
}

Result<void> SimDisk::begin_operation() {
  if (crashed_) return fail(Errc::closed, "the machine has crashed");
  if (operations_ == crash_at_) {
    crashed_ = true;
    throw Crashed{};
  }
  ++operations_;
  return {};
}

Result<void> SimDisk::check_open(std::uint64_t life, const std::string& path) const {
  if (crashed_ || life != life_) return fail(Errc::closed, "{}: the machine has crashed", path);
  return {};
}

bool SimDisk::take_sync_failure() {
  if (failing_syncs_ == 0) return false;
  --failing_syncs_;
  return true;
}

std::shared_ptr<SimDisk::Node> SimDisk::find(const std::string& path) const {
  std::shared_ptr<Node> node = root_;
  std::string_view rest = path;
  for (auto name = next_name(rest); !name.empty(); name = next_name(rest)) {
    const auto dir = std::dynamic_pointer_cast<DirNode>(node);
    node = dir ? dir->get(std::string(name)) : nullptr;
  }
  return node;
}

std::shared_ptr<SimDisk::DirNode> SimDisk::find_dir(const std::string& path) const {
  return std::dynamic_pointer_cast<DirNode>(find(path));
}

void SimDisk::set_name(DirNode& dir, const std::string& name, std::shared_ptr<Node> node,
                       Step& step) {
  const auto link = [this](const std::shared_ptr<Node>& which, bool linked) {
    const auto file = std::dynamic_pointer_cast<FileNode>(which);
    if (!file || file->linked == linked) return;
    file->linked = linked;
    used_ += linked ? file->content.size() : 0 - file->content.size();
  };
  auto before = dir.get(name);
  link(before, false);
  link(node, true);
  step.push_back({name, std::move(before)});
  if (node) {
    dir.names[name] = std::move(node);
  } else {
    dir.names.erase(name);
  }
}

void SimDisk::count_links(DirNode& dir, std::uint64_t& used) {
  for (const auto& [name, node] : dir.names) {
    if (const auto file = std::dynamic_pointer_cast<FileNode>(node)) {
      file->linked = true;
      used += file->content.size();
    } else if (const auto child = std::dynamic_pointer_cast<DirNode>(node)) {
      count_links(*child, used);
    }
  }
}

}  // namespace sluice::sim
