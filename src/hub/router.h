#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "latest/latest.h"
#include "stream/stream.h"

namespace sluice::hub {

// Where a topic's messages are kept: the partition, and how many bytes of the topic precede the
// record's key.
struct Route {
  Partition partition;
  std::uint32_t key_at = 0;
  std::uint32_t key_hash = 0;  // low half of hash64(key)
  std::int64_t batch_max = 0;  // bytes of one record batch in that stream
};

// Topics to records and filters to streams, for one shard:
//   named  the first level is the name of a stream:  sensors/dev1/temp <-> stream sensors, key
//   dev1/temp plain  everything else:                          a/b <-> the default stream, key a/b
// A name alone ("sensors") is plain. The default stream and internal streams have no named topics.
// Filters: a literal first level covers the default stream and the stream of that name; one that
// begins with a wildcard covers the default stream and those marked `wildcard`.
class Router final : public latest::Topics {
 public:
  Router(const stream::Catalogue& catalogue, std::string default_stream);

  // Errors: invalid (the topic), not_found (the default stream is gone).
  Result<Route> route(std::string_view topic);

  // What stands before the key in the topics of a stream: "" or "<name>/".
  [[nodiscard]] std::string prefix_of(const stream::StreamInfo& stream) const override;
  [[nodiscard]] Result<Partition> partition_of(std::string_view topic) override;
  [[nodiscard]] bool is_default(std::string_view stream) const { return stream == default_stream_; }
  // The filter of the topics whose keys in a stream match `keys`.
  [[nodiscard]] std::string filter_of(std::string_view stream, std::string_view keys) const;
  [[nodiscard]] bool covers(std::string_view filter, const stream::StreamInfo& stream) const;
  // All that a filter covers; valid until the catalogue changes.
  [[nodiscard]] std::vector<const stream::StreamInfo*> covered_by(std::string_view filter) const;

 private:
  struct Cached {
    std::string topic;
    std::uint64_t hash = 0;
    std::uint64_t generation = 0;  // of the catalogue; 0: empty
    Route route;
  };
  Result<Route> find_route(std::string_view topic) const;

  const stream::Catalogue& catalogue_;
  std::string default_stream_;
  std::vector<Cached> cache_;  // direct-mapped by the topic's hash
};

}  // namespace sluice::hub
