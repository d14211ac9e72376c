#pragma once

#include <memory>
#include <string>

#include "access/user_table.h"
#include "server/config.h"

namespace sluice::server {

std::string users_path(const Config& config);

// The users of a hub; null when there is no file: then everybody may do everything. A file with
// nobody in it lets nobody in. Errors name file, line and user. Blocks on the disk.
Result<std::shared_ptr<const access::UserTable>> load_users(const Config& config);

}  // namespace sluice::server
