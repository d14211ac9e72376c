#pragma once

#include <functional>
#include <string>

#include "access/user_table.h"
#include "base/result.h"

namespace sluice::cli {

// Errors name the file, the line and the user. A missing file has no users.
Result<access::UserTable> read_users(const std::string& path);

// Reads the file, lets `change` work on it, and puts the outcome in its place: a reader sees the
// old file or the new one, and two commands at once follow one another. The new file keeps owner
// and mode; the first one belongs to the owner of its directory and is for him alone. Directories
// are made.
Result<void> edit_users(const std::string& path,
                        const std::function<Result<void>(access::UserTable&)>& change);

}  // namespace sluice::cli
