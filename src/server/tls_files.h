#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "net/tls_context.h"
#include "server/config.h"

namespace sluice::server {

// Reads and checks the files that [tls] names. Errors (malformed) name the setting or the
// file. Blocks.
Result<std::shared_ptr<const net::TlsContext>> load_tls(const Config::Tls& config, WallMs now);

// The paths whose change means that load_tls gives something else.
std::vector<std::string> tls_files(const Config::Tls& config);

}  // namespace sluice::server
