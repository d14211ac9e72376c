#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "hub/hub.h"
#include "sim/disk.h"
#include "sim/world.h"
#include "stream/embedded.h"

namespace sluice::hub {

// A whole hub but for its front ends, on a simulated machine: for tests of this module and of the
// front ends.
class SimHub {
 public:
  explicit SimHub(std::uint64_t seed, std::uint32_t shards = 1,
                  log::Options log_options = small_log())
      : world(seed, shards), disk(seed), metrics(shards), group(mailboxes_of(shards)) {
    std::vector<stream::EmbeddedBackend::Shard> parts;
    for (std::uint32_t i = 0; i < shards; ++i) parts.push_back({&world.loop(i), &metrics[i]});
    auto opened = stream::EmbeddedBackend::open(disk, log_options, parts, *mailboxes_);
    SLUICE_ASSERT(opened);
    backend = std::move(*opened);
    for (std::uint32_t i = 0; i < shards; ++i) {
      hubs.push_back(std::make_unique<Hub>(group, ShardId{i}, world.loop(i), backend->stream({i}),
                                           metrics[i], Options{}));
      group.add(*hubs.back());
    }
    world.run_until([&] { return default_stream_is_there(); });
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

  sim::SimWorld world;
  sim::SimDisk disk;
  std::vector<Metrics> metrics;

 private:
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
  Group group;
  std::vector<std::unique_ptr<Hub>> hubs;
};

}  // namespace sluice::hub
