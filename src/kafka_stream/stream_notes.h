#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "kafka_stream/producer.h"
#include "kafka_stream/reader_pool.h"

namespace sluice::kafka_stream {

// What a topic of Kafka cannot hold about the stream in it.
struct StreamNote {
  std::uint64_t life = 0;  // how often a topic of this name was seen to be removed
  bool wildcard = false;   // StreamConfig::wildcard
  friend bool operator==(const StreamNote&, const StreamNote&) = default;
};
std::string encode_note(const StreamNote& note);
std::optional<StreamNote> decode_note(std::string_view text);

// The notes about all streams: the fold of a small compacted topic of our own
// (docs/formats/stream-notes.md), so that a hub finds them again wherever it starts.
//
// On one helper thread, which it blocks.
class StreamNotes {
 public:
  // Both outlive it; `stopping` ends every wait.
  StreamNotes(Producer& producer, ReaderPool& readers, std::int32_t replication,
              const std::atomic<bool>& stopping)
      : producer_(producer), readers_(readers), replication_(replication), stopping_(stopping) {}

  // Makes the topic if it is missing, and reads it to its end.
  Result<void> load();
  [[nodiscard]] StreamNote of(const std::string& stream) const;
  // Durable when it returns.
  Result<void> put(const std::string& stream, const StreamNote& note);

 private:
  void fold(const log::Block& block);
  template <class T, class Start>
  Result<T> wait_for(Start start);

  Producer& producer_;
  ReaderPool& readers_;
  const std::int32_t replication_;
  const std::atomic<bool>& stopping_;
  std::map<std::string, StreamNote> notes_;
};

}  // namespace sluice::kafka_stream
