#include "base/ids.h"

#include "base/hash.h"

namespace sluice {

std::uint32_t slot_of_client(std::string_view client_id) {
  return partition_of_key(as_bytes(client_id), slot_count);
}

}  // namespace sluice
