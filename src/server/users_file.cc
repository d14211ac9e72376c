#include "server/users_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sluice::server {

std::string users_path(const Config& config) {
  if (!config.access.users_file.empty()) return config.access.users_file;
  return (std::filesystem::path(config.server.data_dir) / "users.toml").string();
}

Result<std::shared_ptr<const access::UserTable>> load_users(const Config& config) {
  const std::string path = users_path(config);
  std::ifstream file(path);
  const int reason = errno;
  if (!file && reason == ENOENT) return nullptr;
  if (!file) return fail(Errc::io, "{}: {}", path, std::strerror(reason));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) return fail(Errc::io, "{}: cannot be read", path);
  SLUICE_TRY_ASSIGN(access::UserTable table, access::UserTable::parse(text, path));
  return std::make_shared<const access::UserTable>(std::move(table));
}

}  // namespace sluice::server
