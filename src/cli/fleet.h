#pragma once

#include <mosquitto.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "cli/listeners.h"

namespace sluice::cli {

struct FleetOptions {
  std::uint32_t devices = 10;
  std::uint32_t rate = 20;  // messages per second, of all devices together
};

// Simulated devices that publish to a hub by MQTT until the object goes: each has a connection,
// readings `sensors/<device>/temperature|humidity|battery` (QoS 1, JSON), and a retained
// `sensors/<device>/status`, "online" or, by its will, "offline". Now and then one loses its
// connection and comes back.
class Fleet {
 public:
  static constexpr std::uint32_t devices_max = 200;

  // Errors: io, when the devices can't connect.
  static Result<std::unique_ptr<Fleet>> start(const HostPort& address, const FleetOptions& options);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

 private:
  struct Destroy {
    void operator()(mosquitto* client) const { mosquitto_destroy(client); }
  };
  struct Device {
    std::string name;
    std::unique_ptr<mosquitto, Destroy> client;
    double temperature = 20;
    double humidity = 50;
    double battery = 100;
    std::uint32_t readings = 0;
    bool lost = false;
  };

  explicit Fleet(const FleetOptions& options) : options_(options) {}
  Result<void> add_device(const HostPort& address, std::uint32_t number);
  void run();
  void publish_reading(Device& device);
  void turn(Device& device);

  FleetOptions options_;
  Random random_ = Random::from_os();
  std::vector<std::unique_ptr<Device>> devices_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::cli
