#pragma once

#include <memory>
#include <span>

#include "log/block.h"
#include "stream/stream.h"

namespace sluice::stream {

// The streams of the embedded backend are kept in its first stream, one record per change:
// docs/formats/catalogue.md.
extern const StreamInfo catalogue_stream;

// One record, as a batch to append: a stream as it was created, or as it is from now on.
std::shared_ptr<Block> encode_stream(const StreamInfo& stream, WallMs now);
std::shared_ptr<Block> encode_removed(std::string_view name, WallMs now);

// The value of such a record. Errors: malformed, unsupported (written by a later version).
Result<StreamInfo> decode_stream(std::string_view name, Bytes value);

// The streams that a whole catalogue describes, itself included. An error names the record: to
// start without a stream that is there would mean to delete its data.
Result<Catalogue> fold_catalogue(std::span<const BlockRef> blocks);

}  // namespace sluice::stream
