#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/random.h"
#include "stream/stream.h"

namespace sluice::stream {

class EmbeddedStream;

// Makes the changes of the catalogue, one after the other; on the shard that owns its partition.
//
// Created: written and durable; then all owners open their partitions; then all shards hear of it.
// So whoever knows a stream can append to it. Altered: likewise, new partitions first. Removed:
// written and durable; then all shards forget it; then all owners drop the data. A crash in between
// leaves what a start makes whole: open() of the backend opens and drops by the catalogue.
class CatalogueWriter {
 public:
  CatalogueWriter(EmbeddedStream& home, Random ids) : home_(home), ids_(ids) {}

  void create(std::string name, StreamConfig config, Done<StreamInfo> done);
  void alter(std::string name, StreamConfig config, Done<StreamInfo> done);
  void remove(std::string name, Done<StreamInfo> done);  // answers what was there

 private:
  enum class Kind : std::uint8_t { create, alter, remove };
  struct Change {
    Kind kind;
    std::string name;
    StreamConfig config;  // not of a removal
    Done<StreamInfo> done;
  };

  void submit(Change change);
  void start();
  Result<StreamInfo> prepare(const Change& change);
  void write(StreamInfo stream, Kind kind);
  void tell_created(const StreamInfo& stream);
  void tell_altered(const StreamInfo& stream);
  void tell_removed(const StreamInfo& stream);
  void finish(Result<StreamInfo> result);
  StreamId new_id(bool internal);

  EmbeddedStream& home_;
  Random ids_;
  std::deque<Change> changes_;  // the first is under way
};

}  // namespace sluice::stream
