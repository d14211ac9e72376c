#pragma once

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "hub/sim_hub_test.h"
#include "trace/traces.h"

namespace sluice::hub {

// A trace of a simulated hub, read as fast as it comes.
class TraceLog {
 public:
  TraceLog(SimHub& sim, trace::Query query) : sim_(sim) {
    bool started = false;
    sim.world.loop(0).post([&] {
      id = sim.group.traces()
               .start(
                   query,
                   [this](const std::string& portion, Task taken) {
                     std::istringstream in(portion);
                     for (std::string line; std::getline(in, line);) lines.push_back(line);
                     taken();
                   },
                   [&] { started = true; })
               .value();
    });
    SLUICE_ASSERT(sim.world.run_until([&] { return started; }));
  }
  ~TraceLog() { sim_.group.traces().stop(id); }

  // Waits for a line that holds all these parts; empty if none comes.
  std::string wait(const std::vector<std::string>& parts) {
    std::string found;
    sim_.world.run_until(
        [&] {
          for (const std::string& line : lines)
            if (holds(line, parts)) found = line;
          return !found.empty();
        },
        std::chrono::seconds(100));
    return found;
  }
  [[nodiscard]] int count(const std::vector<std::string>& parts) const {
    int found = 0;
    for (const std::string& line : lines) found += holds(line, parts) ? 1 : 0;
    return found;
  }
  [[nodiscard]] std::string all() const {
    std::string text;
    for (const std::string& line : lines) text += line + '\n';
    return text;
  }

  trace::TraceId id = 0;
  std::vector<std::string> lines;

 private:
  static bool holds(const std::string& line, const std::vector<std::string>& parts) {
    return std::ranges::all_of(
        parts, [&](const std::string& part) { return line.find(part) != std::string::npos; });
  }

  SimHub& sim_;
};

}  // namespace sluice::hub
