#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/task.h"
#include "kafka_stream/cursor.h"

namespace sluice::kafka_stream {

// Reads and look-ups, which block, on a few helper threads with a librdkafka consumer each.
//
// Look-ups of bounds that wait for a thread are asked together, by topic: at a start there are some
// for each of a hundred partitions.
//
// A thread keeps some cursors open where its last reads ended; a read that goes on where one of
// them stands is given to that thread. A cursor that is not used is closed: librdkafka would fetch
// for it for ever.
//
// Threads: calls from any; `done` runs on the helper that did the work.
// Bound:   `requests` jobs not yet done; beyond: Errc::busy, within the call. Memory: each cursor
//          fetches ahead at most 1 MiB and one fetch of at most 1 MiB (more where a single batch is
//          larger).
class ReaderPool {
 public:
  static Result<std::unique_ptr<ReaderPool>> make(const Options& options);
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  void read(Place place, Offset from, std::size_t bytes_max, Done<stream::ReadAnswer> done);
  void bounds(Place place, Done<stream::Bounds> done);
  void resolve(Place place, stream::Start start, WallMs when, Done<stream::Resolved> done);
  // `work(client)` that blocks on the cluster, of rare kinds.
  template <class T>
  void run(std::move_only_function<Result<T>(rd_kafka_t*)> work, Done<T> done) {
    submit<T>([work = std::move(work)](Helper& helper) mutable { return work(client_of(helper)); },
              std::move(done), std::nullopt);
  }

 private:
  class Helper;
  using Job = std::move_only_function<void(Helper*)>;
  using Standing = std::pair<Place, Offset>;

  explicit ReaderPool(std::uint32_t requests);
  static rd_kafka_t* client_of(Helper& helper);
  // Runs `work` on a helper and `done` with its result; answers busy within the call.
  template <class T, class Work>
  void submit(Work work, Done<T> done, const std::optional<Standing>& goes_on_at);
  // A place whose bounds are wanted.
  struct Asked {
    Place place;
    Done<stream::Bounds> done;
  };
  void answer_asked(Helper& helper);
  std::vector<Asked> take_asked();
  [[nodiscard]] std::unexpected<Error> too_many() const;
  bool enter();  // false: too much is under way
  void push(Job job, const std::optional<Standing>& goes_on_at);

  const std::uint32_t requests_;
  std::mutex mutex_;  // all below, and the helpers' queues
  std::uint32_t under_way_ = 0;
  // Each came with a job; the first to run takes along what others wait for.
  std::deque<Asked> asked_;
  std::vector<std::unique_ptr<Helper>> helpers_;
};

template <class T, class Work>
void ReaderPool::submit(Work work, Done<T> done, const std::optional<Standing>& goes_on_at) {
  if (!enter()) return done(too_many());
  push([work = std::move(work),
        done = std::move(done)](Helper* helper) mutable { done(work(*helper)); },
       goes_on_at);
}

}  // namespace sluice::kafka_stream
