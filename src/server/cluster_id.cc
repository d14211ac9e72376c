#include "server/cluster_id.h"

#include <algorithm>
#include <string_view>

#include "base/random.h"

namespace sluice::server {
namespace {

constexpr std::string_view file_name = "cluster_id";
constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t id_size = 22;

}  // namespace

Result<std::string> cluster_id_of(Disk& disk) {
  const std::string path(file_name);
  SLUICE_TRY_ASSIGN(const bool there, disk.exists(path));
  if (there) {
    SLUICE_TRY_ASSIGN(const Buffer content, read_file(disk, path, 4096));
    std::string id(as_text(content));
    const bool good = id.size() == id_size && std::ranges::all_of(id, [](char c) {
                        return alphabet.find(c) != std::string_view::npos;
                      });
    if (!good) return fail(Errc::corrupt, "the file {} holds no cluster id", path);
    return id;
  }
  Random random = Random::from_os();
  std::string id(id_size, ' ');
  for (char& c : id) c = alphabet[random.below(alphabet.size())];
  SLUICE_TRY(replace_file(disk, path, as_bytes(id)));
  return id;
}

}  // namespace sluice::server
