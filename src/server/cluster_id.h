#pragma once

#include <string>

#include "base/disk.h"
#include "base/result.h"

namespace sluice::server {

// The id that Kafka clients know this hub by: made at random at the first start, kept in the file
// `cluster_id` of the data directory. 22 characters, as Kafka's own.
Result<std::string> cluster_id_of(Disk& disk);

}  // namespace sluice::server
