#pragma once

#include <memory>
#include <vector>

#include "base/assert.h"
#include "sim/disk.h"
#include "sim/world.h"
#include "stream/contract_test.h"
#include "stream/embedded.h"

namespace sluice::stream {

// The embedded backend on a simulated machine, which may be restarted.
class SimBackend final : public TestBackend {
 public:
  SimBackend(std::uint64_t seed, std::uint32_t shards, EmbeddedTuning tuning = {},
             std::size_t mailbox_places = 1024)
      : seed_(seed), mailbox_places_(mailbox_places), tuning_(tuning), disk(seed) {
    start(shards);
  }

  static log::Options small_log() {
    log::Options options;
    options.journal_size = 128 << 10;
    options.journal_files = 2;
    options.pending_max = 4 << 10;
    options.segment_size = 64 << 10;
    options.tail_cache_size = 16 << 10;
    return options;
  }

  [[nodiscard]] std::uint32_t shards() const override {
    return static_cast<std::uint32_t>(world->loops());
  }
  Stream& stream(ShardId shard) override { return backend->stream(shard); }
  runtime::Mailboxes& mailboxes() { return *mailboxes_; }
  void post(ShardId shard, Task task) override { world->loop(shard.value).post(std::move(task)); }
  bool run_until(std::move_only_function<bool()> done) override {
    return world->run_until(std::move(done));
  }
  std::uint64_t random(std::uint64_t bound) override { return world->random().below(bound); }

  void start(std::uint32_t shards) {
    const auto opened = try_start(shards);
    SLUICE_ASSERT(opened);
  }
  Result<void> try_start(std::uint32_t shards) {
    world = std::make_unique<sim::SimWorld>(seed_++, shards);
    metrics_ = std::vector<Metrics>(shards);
    std::vector<runtime::Loop*> loops;
    std::vector<EmbeddedBackend::Shard> places;
    for (std::uint32_t i = 0; i < shards; ++i) {
      loops.push_back(&world->loop(i));
      places.push_back({&world->loop(i), &metrics_[i]});
    }
    mailboxes_ = std::make_unique<runtime::Mailboxes>(loops, mailbox_places_);
    tuning_.ids = Random(seed_);
    SLUICE_TRY_ASSIGN(backend,
                      EmbeddedBackend::open(disk, small_log(), places, *mailboxes_, tuning_));
    return {};
  }
  Result<void> stop() {
    std::optional<Result<void>> stopped;
    post({}, [&] { backend->stop([&](Result<void> result) { stopped = std::move(result); }); });
    SLUICE_ASSERT(run_until([&] { return stopped.has_value(); }));
    destroy();
    return std::move(*stopped);
  }
  // The machine loses power.
  void crash() {
    destroy();
    disk.crash();
  }

 private:
  void destroy() {
    world->power_off();
    backend.reset();
    mailboxes_.reset();
    world.reset();
  }
  std::uint64_t seed_;
  const std::size_t mailbox_places_;
  EmbeddedTuning tuning_;
  std::vector<Metrics> metrics_;

 public:
  sim::SimDisk disk;
  std::unique_ptr<sim::SimWorld> world;

 private:
  std::unique_ptr<runtime::Mailboxes> mailboxes_;

 public:
  std::unique_ptr<EmbeddedBackend> backend;
};

}  // namespace sluice::stream
