#pragma once

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "log/packed_header.h"
#include "log/record_batch.h"
#include "sessions/sessions.h"
#include "stream/sim_backend_test.h"
#include "table/memory_store_test.h"

namespace sluice::sessions {

struct GivenWill {
  std::string client_id;
  Uid uid = 0;
  Will will;
  WallMs due = 0;
};

// Of a client that wants its session kept.
inline Opening stored(const std::string& client_id, bool clean = false,
                      std::uint32_t expiry_s = 3600) {
  return {.client_id = client_id, .clean = clean, .expiry_s = expiry_s};
}

// A simulated machine with sessions on all shards, a store in memory, and a data stream.
class Machine {
 public:
  static constexpr std::uint32_t partitions = 3;  // of the data stream

  explicit Machine(std::uint64_t seed, std::uint32_t shards = 2) : backend(seed, shards) {
    data = make_stream("data", partitions);
    open();
  }
  ~Machine() { sessions_.clear(); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // The machine runs again; by its clock some time has passed.
  void start(std::uint32_t shards, runtime::Duration pause = std::chrono::seconds(5)) {
    backend.start(shards);
    wall_ += pause;
    backend.world->step_wall_clock(wall_);
    open();
  }
  void stop() {
    for (std::uint32_t i = 0; i < backend.shards(); ++i) {
      const auto stopped = await<void>(
          i, [](Sessions& sessions, Done<void> done) { sessions.stop(std::move(done)); });
      EXPECT_TRUE(stopped) << stopped.error().text;
    }
    wall_ += backend.world->now() - started_;
    sessions_.clear();
    const auto stopped = backend.stop();
    SLUICE_ASSERT(stopped);
  }
  // It loses power; the store what was not flushed.
  void crash() {
    wall_ += backend.world->now() - started_;
    backend.world->power_off();
    sessions_.clear();
    backend.crash();
    store->crash();
  }
  void restart_after_crash(std::uint32_t shards = 2) {
    crash();
    start(shards);
  }

  StreamId make_stream(const std::string& name, std::uint32_t its_partitions) {
    stream::StreamConfig config;
    config.partitions = its_partitions;
    const auto made = stream::await<stream::StreamInfo>(
        backend, {}, [&](stream::Stream& stream, Done<stream::StreamInfo> done) {
          stream.create(name, config, std::move(done));
        });
    SLUICE_ASSERT(made);
    return made->id;
  }

  [[nodiscard]] Sessions& on(std::uint32_t shard) { return *sessions_[shard]; }
  void run_for(runtime::Duration duration) { backend.world->run_for(duration); }
  [[nodiscard]] WallMs wall_ms() { return backend.world->loop(0).wall_ms(); }

  template <class T>
  Result<T> await(std::uint32_t shard, std::move_only_function<void(Sessions&, Done<T>)> call) {
    auto answer = std::make_shared<std::optional<Result<T>>>();
    backend.post({shard}, [this, shard, answer, call = std::move(call)]() mutable {
      call(on(shard), [answer](Result<T> result) { answer->emplace(std::move(result)); });
    });
    if (!backend.run_until([&] { return answer->has_value(); }))
      return fail(Errc::closed, "there was no answer");
    return std::move(**answer);
  }

  Opened connect(const Opening& opening, std::uint32_t shard = 0) {
    auto opened = await<Opened>(
        shard, [&](Sessions& s, Done<Opened> done) { s.connect(opening, std::move(done)); });
    EXPECT_TRUE(opened) << opened.error().text;
    return opened ? std::move(*opened) : Opened{};
  }
  // What a client finds that has been there before.
  Opened resume(const std::string& client_id, std::uint32_t expiry_s = 3600) {
    return connect(stored(client_id, false, expiry_s));
  }
  void put_filter(const std::string& client_id, Uid uid, const Filter& filter) {
    expect_done([&](Sessions& s, Done<void> done) {
      s.put_filter(client_id, uid, filter, std::move(done));
    });
  }
  void erase_filter(const std::string& client_id, Uid uid, const std::string& text) {
    expect_done([&](Sessions& s, Done<void> done) {
      s.erase_filter(client_id, uid, text, 0, std::move(done));
    });
  }
  void save(const std::string& client_id, Uid uid, const Progress& progress) {
    expect_done(
        [&](Sessions& s, Done<void> done) { s.save(client_id, uid, progress, std::move(done)); });
  }
  void disconnect(const std::string& client_id, Uid uid, std::uint32_t expiry_s,
                  bool keep_will = false, const Progress& progress = {}) {
    expect_done([&](Sessions& s, Done<void> done) {
      s.disconnect(client_id, uid, expiry_s, keep_will, progress, std::move(done));
    });
  }
  void expect_done(std::move_only_function<void(Sessions&, Done<void>)> call) {
    const auto done = await<void>(0, std::move(call));
    EXPECT_TRUE(done) << done.error().text;
  }

  // A QoS 2 publish of a session, as a record of the data stream.
  void publish(const log::Qos2Evidence& evidence, std::uint32_t partition, Done<void> done) {
    std::array<std::byte, log::packed_header_size_max> packed{};
    const std::size_t size = log::encode_packed_header(
        {.qos = 2, .publisher = evidence.uid, .qos2 = evidence}, packed.data());
    Buffer headers;
    log::append_header(headers, log::PackedHeader::name, Bytes(packed).first(size));
    log::BatchBuilder builder;
    builder.add(wall_ms(), {.key = as_bytes("a"),
                            .value = as_bytes("x"),
                            .headers = headers,
                            .headers_count = 1,
                            .flags = log::Record::has_packed | 2});
    backend.stream({}).append(
        {data, partition}, builder.finish(),
        [done = std::move(done)](const Result<stream::Appended>& appended) mutable {
          if (!appended) return done(std::unexpected(appended.error()));
          done({});
        });
  }
  void publish(const log::Qos2Evidence& evidence, std::uint32_t partition = 0) {
    expect_done([&](Sessions&, Done<void> done) { publish(evidence, partition, std::move(done)); });
  }

  [[nodiscard]] std::int64_t total(std::string_view name) {
    std::vector<Metrics*> all;
    for (auto& one : metrics_) all.push_back(&one);
    return Metrics::total(all, name);
  }

  stream::SimBackend backend;
  std::shared_ptr<table::MemoryStore> store = std::make_shared<table::MemoryStore>();
  StreamId data;
  std::vector<GivenWill> wills;  // given since the last start
  // What a front end would do.
  std::function<void(std::uint32_t shard, Task done)> flush = [](std::uint32_t, Task done) {
    done();
  };

 private:
  void open() {
    started_ = backend.world->now();
    wills.clear();
    group_ = std::make_unique<Group>(backend.mailboxes());
    metrics_ = std::deque<Metrics>(backend.shards());
    std::size_t opened = 0;
    for (std::uint32_t i = 0; i < backend.shards(); ++i) {
      sessions_.push_back(std::make_unique<Sessions>(*group_,
                                                     table::Table::Context{&backend.world->loop(i),
                                                                           &backend.stream({i}),
                                                                           store,
                                                                           &metrics_[i],
                                                                           {i},
                                                                           backend.shards()},
                                                     Random(backend.world->random().next())));
      group_->add(*sessions_[i]);
      on(i).set_flush([this, i](Task done) { flush(i, std::move(done)); });
      on(i).set_on_will([this](const std::string& client_id, Uid uid, Will will, WallMs due) {
        wills.push_back({client_id, uid, std::move(will), due});
      });
    }
    for (std::uint32_t i = 0; i < backend.shards(); ++i)
      backend.post({i}, [this, i, &opened] {
        on(i).open([&](const Result<void>& result) {
          EXPECT_TRUE(result) << result.error().text;
          ++opened;
        });
      });
    const bool all = backend.run_until([&] { return opened == backend.shards(); });
    SLUICE_ASSERT(all);
  }

  runtime::Duration wall_{};  // of the runs before
  runtime::TimePoint started_{};
  std::unique_ptr<Group> group_;
  std::deque<Metrics> metrics_;
  std::vector<std::unique_ptr<Sessions>> sessions_;
};

}  // namespace sluice::sessions
