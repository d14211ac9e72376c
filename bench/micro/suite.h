#pragma once

#include <benchmark/benchmark.h>
#include <valgrind/callgrind.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::micro {

// The loop of one benchmark: timed by google-benchmark, or run a fixed number of times while
// callgrind counts instructions. What a benchmark does outside of run() is not measured.
class Measure {
 public:
  explicit Measure(benchmark::State& state) : state_(&state) {}   // timed
  explicit Measure(std::string name) : name_(std::move(name)) {}  // counted

  // Measures `operation`, which takes `items` messages, topics or the like through: figures are per
  // item. To be called once. The first calls fill caches, grow buffers and prepare journal files;
  // they are left out.
  template <class Operation>
  void run(std::int64_t items, Operation operation) {
    for (int i = 0; i < warm_up_calls; ++i) operation();
    if (state_ != nullptr) {
      for (auto _ : *state_) operation();
      state_->SetItemsProcessed(state_->iterations() * items);
      return;
    }
    // Stands in the dump, for bench/instructions: the benchmark, and the items counted.
    const std::string trigger = name_ + "|" + std::to_string(counted_calls * items);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    for (int i = 0; i < counted_calls; ++i) operation();
    CALLGRIND_DUMP_STATS_AT(trigger.c_str());  // stopping forgets the counts
    CALLGRIND_STOP_INSTRUMENTATION;
  }

 private:
  static constexpr int warm_up_calls = 200;
  static constexpr int counted_calls = 1000;

  benchmark::State* state_ = nullptr;
  std::string name_;
};

// All benchmarks by name, in order.
class Suite {
 public:
  using Benchmark = std::function<void(Measure&)>;

  void add(std::string name, Benchmark benchmark) {
    benchmarks_.emplace_back(std::move(name), std::move(benchmark));
  }
  [[nodiscard]] const std::vector<std::pair<std::string, Benchmark>>& all() const {
    return benchmarks_;
  }

 private:
  std::vector<std::pair<std::string, Benchmark>> benchmarks_;
};

// One per file.
void add_mqtt_codec(Suite& suite);
void add_match(Suite& suite);
void add_route(Suite& suite);
void add_batch(Suite& suite);
void add_log(Suite& suite);
void add_kafka_codec(Suite& suite);
void add_hub(Suite& suite);

}  // namespace sluice::micro
