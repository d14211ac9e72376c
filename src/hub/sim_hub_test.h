#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "hub/hub.h"
#include "latest/latest.h"
#include "sim/disk.h"
#include "sim/world.h"
#include "stream/embedded.h"
#include "table/memory_store_test.h"
#include "table/table.h"

namespace sluice::hub {

// What outlives a hub that crashes.
struct SimMachine {
  explicit SimMachine(std::uint64_t seed)
      : disk(seed), store(std::make_shared<table::MemoryStore>()) {}
  void crash() {
    disk.crash();
    store->crash();
  }
  sim::SimDisk disk;
  std::shared_ptr<table::MemoryStore> store;
};

// A whole hub but for its front ends, on a simulated machine: for tests of this module and of the
// front ends. To crash: world.power_off(), destroy this, SimMachine::crash().
class SimHub {
 public:
  explicit SimHub(std::uint64_t seed, std::uint32_t shards = 1,
                  log::Options log_options = small_log(),
                  std::shared_ptr<SimMachine> its_machine = nullptr)
      : world(seed, shards),
        machine(its_machine ? std::move(its_machine) : std::make_shared<SimMachine>(seed)),
        disk(machine->disk),
        metrics(shards),
        latest_group(mailboxes_of(shards)),
        group(*mailboxes_) {
    std::vector<stream::EmbeddedBackend::Shard> parts;
    for (std::uint32_t i = 0; i < shards; ++i) parts.push_back({&world.loop(i), &metrics[i]});
    stream::EmbeddedTuning tuning;
    tuning.ids = Random(seed);
    auto opened =
        stream::EmbeddedBackend::open(disk, log_options, parts, *mailboxes_, std::move(tuning));
    SLUICE_ASSERT(opened);
    backend = std::move(*opened);
    for (std::uint32_t i = 0; i < shards; ++i) add_shard(i);
    std::uint32_t ready = 0;
    for (auto& hub : hubs)
      hub->open([&](const Result<void>& done) {
        SLUICE_ASSERT(done);
        ++ready;
      });
    SLUICE_ASSERT(world.run_until([&] { return ready == shards && default_stream_is_there(); }));
  }

  static log::Options small_log() {
    log::Options options;
    options.journal_size = 128 << 10;
    options.segment_size = 256 << 10;
    options.tail_cache_size = 64 << 10;
    return options;
  }

  [[nodiscard]] stream::Stream& stream(std::uint32_t shard = 0) { return backend->stream({shard}); }
  void create(const std::string& name, const stream::StreamConfig& config) {
    bool done = false;
    stream().create(name, config, [&](const Result<stream::StreamInfo>& made) {
      SLUICE_ASSERT(made);
      done = true;
    });
    SLUICE_ASSERT(world.run_until([&] { return done; }));
  }

  void alter(const std::string& name, const stream::StreamConfig& config) {
    bool done = false;
    stream().alter(name, config, [&](const Result<stream::StreamInfo>& made) {
      SLUICE_ASSERT(made);
      done = true;
    });
    SLUICE_ASSERT(world.run_until([&] { return done; }));
  }

  // Of all shards, as Prometheus reads them.
  [[nodiscard]] std::string metrics_text() {
    std::vector<Metrics*> all;
    for (Metrics& shard : metrics) all.push_back(&shard);
    return Metrics::render(all);
  }

  [[nodiscard]] runtime::Mailboxes& mailboxes() { return *mailboxes_; }
  // For a table of that shard.
  [[nodiscard]] table::Table::Context table_context(std::uint32_t shard) {
    return {.loop = &world.loop(shard),
            .stream = &backend->stream({shard}),
            .store = machine->store,
            .metrics = &metrics[shard],
            .shard = {shard},
            .shards = static_cast<std::uint32_t>(metrics.size())};
  }

  sim::SimWorld world;
  std::shared_ptr<SimMachine> machine;
  sim::SimDisk& disk;
  std::vector<Metrics> metrics;

 private:
  void add_shard(std::uint32_t i) {
    latests.push_back(std::make_unique<latest::Latest>(latest_group, table_context(i)));
    latest_group.add(*latests.back());
    hubs.push_back(std::make_unique<Hub>(group, ShardId{i}, world.loop(i), backend->stream({i}),
                                         *latests.back(), metrics[i], Options{}));
    group.add(*hubs.back());
  }
  runtime::Mailboxes& mailboxes_of(std::uint32_t shards) {
    std::vector<runtime::Loop*> loops;
    for (std::uint32_t i = 0; i < shards; ++i) loops.push_back(&world.loop(i));
    mailboxes_ = std::make_unique<runtime::Mailboxes>(loops);
    return *mailboxes_;
  }
  bool default_stream_is_there() {
    for (std::uint32_t i = 0; i < hubs.size(); ++i)
      if (!stream(i).catalogue().find("mqtt")) return false;
    return true;
  }
  std::unique_ptr<runtime::Mailboxes> mailboxes_;

 public:
  std::unique_ptr<stream::EmbeddedBackend> backend;
  latest::Group latest_group;
  std::vector<std::unique_ptr<latest::Latest>> latests;
  Group group;
  std::vector<std::unique_ptr<Hub>> hubs;
};

}  // namespace sluice::hub
