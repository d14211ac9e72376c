#include <string_view>

#include "suite.h"

namespace {

using namespace sluice::micro;

Suite all_benchmarks() {
  Suite suite;
  add_mqtt_codec(suite);
  add_match(suite);
  add_route(suite);
  add_batch(suite);
  add_log(suite);
  add_kafka_codec(suite);
  add_hub(suite);
  return suite;
}

void count(const Suite& suite, std::string_view part_of_name) {
  for (const auto& [name, benchmark] : suite.all()) {
    if (name.find(part_of_name) == std::string::npos) continue;
    Measure measure(name);
    benchmark(measure);
  }
}

void time(const Suite& suite) {
  for (const auto& [name, benchmark] : suite.all()) {
    benchmark::RegisterBenchmark(name.c_str(), [run = benchmark](benchmark::State& state) {
      Measure measure(state);
      run(measure);
    });
  }
  benchmark::RunSpecifiedBenchmarks();
}

}  // namespace

// Takes google-benchmark's flags, such as --benchmark_filter=hub. Under valgrind it takes part of
// a name, or nothing for all, and counts (bench/instructions).
int main(int argc, char** argv) {
  const Suite suite = all_benchmarks();
  if (RUNNING_ON_VALGRIND) {
    count(suite, argc > 1 ? argv[1] : "");
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  time(suite);
  benchmark::Shutdown();
  return 0;
}
