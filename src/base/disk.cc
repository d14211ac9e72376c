#include "base/disk.h"

namespace sluice {
namespace {

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

}  // namespace

Result<Buffer> read_file(Disk& disk, const std::string& path, std::uint64_t size_max) {
  SLUICE_TRY_ASSIGN(const auto file, disk.open(path, OpenMode::read));
  SLUICE_TRY_ASSIGN(const std::uint64_t size, file->size());
  if (size > size_max) {
    return fail(Errc::too_large, "{} has {} bytes, at most {} are read", path, size, size_max);
  }
  Buffer content;
  content.resize(size);
  SLUICE_TRY_ASSIGN(const std::size_t count, file->read_at(0, content));
  content.resize(count);
  return content;
}

Result<void> replace_file(Disk& disk, const std::string& path, Bytes content) {
  const std::string fresh = path + ".new";
  SLUICE_TRY_ASSIGN(const auto file, disk.open(fresh, OpenMode::write_new));
  SLUICE_TRY(file->write_at(0, {&content, 1}));
  SLUICE_TRY(file->sync());
  SLUICE_TRY(disk.rename(fresh, path));
  return disk.sync_dir(parent_of(path));
}

}  // namespace sluice
