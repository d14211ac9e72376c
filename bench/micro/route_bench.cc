#include <string>
#include <vector>

#include "base/assert.h"
#include "hub/router.h"
#include "suite.h"

namespace sluice::micro {
namespace {

constexpr std::size_t routes_per_call = 64;

// Goes round `topics_count` topics of a stream with 16 partitions.
void route(Measure& measure, std::size_t topics_count) {
  stream::Catalogue catalogue;
  catalogue.add({"mqtt", StreamId{1}, {}});
  catalogue.add({"sensors", StreamId{2}, {.partitions = 16}});
  hub::Router router(catalogue, "mqtt");
  std::vector<std::string> topics;
  for (std::size_t i = 0; i < topics_count; ++i)
    topics.push_back("sensors/plant-" + std::to_string(i % 50) + "/machine-" + std::to_string(i));
  std::size_t next = 0;
  measure.run(routes_per_call, [&] {
    for (std::size_t i = 0; i < routes_per_call; ++i, next = (next + 1) % topics_count) {
      const auto found = router.route(topics[next]);
      SLUICE_ASSERT(found && found->key_at == 8);
    }
  });
}

}  // namespace

void add_route(Suite& suite) {
  suite.add("route: cached, 64 topics", [](Measure& m) { route(m, 64); });
  suite.add("route: 100,000 topics in turn", [](Measure& m) { route(m, 100'000); });
}

}  // namespace sluice::micro
