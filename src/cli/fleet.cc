#include "cli/fleet.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

namespace sluice::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int keep_alive_s = 30;
constexpr auto tick = std::chrono::milliseconds(20);
constexpr auto between_losses = std::chrono::seconds(15);
constexpr std::uint32_t seconds_away = 3;

// Called for each connection that was made, the first and later ones.
void on_connected(mosquitto* client, void* name, int refused) {
  if (refused != 0) return;
  const std::string topic = fmt::format("sensors/{}/status", *static_cast<std::string*>(name));
  constexpr std::string_view online = "online";
  mosquitto_publish(client, nullptr, topic.c_str(), online.size(), online.data(), 1, true);
}

}  // namespace

Result<std::unique_ptr<Fleet>> Fleet::start(const HostPort& address, const FleetOptions& options) {
  mosquitto_lib_init();
  std::unique_ptr<Fleet> fleet(new Fleet(options));
  for (std::uint32_t i = 1; i <= options.devices; ++i) SLUICE_TRY(fleet->add_device(address, i));
  fleet->thread_ = std::thread([&running = *fleet] { running.run(); });
  return fleet;
}

Fleet::~Fleet() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

Result<void> Fleet::add_device(const HostPort& address, std::uint32_t number) {
  auto device = std::make_unique<Device>();
  device->name = fmt::format("dev{}", number);
  device->temperature += static_cast<double>(random_.below(100)) / 10;
  device->battery -= static_cast<double>(random_.below(40));
  device->client.reset(
      mosquitto_new(fmt::format("demo-{}", device->name).c_str(), true, &device->name));
  mosquitto* const client = device->client.get();
  mosquitto_connect_callback_set(client, on_connected);
  const std::string topic = fmt::format("sensors/{}/status", device->name);
  constexpr std::string_view offline = "offline";
  mosquitto_will_set(client, topic.c_str(), offline.size(), offline.data(), 1, true);
  const int code = mosquitto_connect(client, address.host.c_str(), address.port, keep_alive_s);
  if (code != MOSQ_ERR_SUCCESS)
    return fail(Errc::io, "device {} cannot connect to {}: {}", device->name, to_string(address),
                mosquitto_strerror(code));
  devices_.push_back(std::move(device));
  return {};
}

void Fleet::run() {
  const auto interval = std::chrono::nanoseconds(std::chrono::seconds(1)) / options_.rate;
  Clock::time_point next_reading = Clock::now();
  Clock::time_point next_loss = next_reading + between_losses;
  Clock::time_point back_at = Clock::time_point::max();
  while (!stopping_) {
    const auto now = Clock::now();
    for (; next_reading <= now; next_reading += interval)
      publish_reading(*devices_[random_.below(devices_.size())]);
    if (now >= next_loss) {
      Device& unlucky = *devices_[random_.below(devices_.size())];
      unlucky.lost = true;
      shutdown(mosquitto_socket(unlucky.client.get()), SHUT_RDWR);
      next_loss = now + between_losses;
      back_at = now + std::chrono::seconds(seconds_away);
    }
    if (now >= back_at) {
      for (const auto& device : devices_) device->lost = false;
      back_at = Clock::time_point::max();
    }
    for (const auto& device : devices_) turn(*device);
    std::this_thread::sleep_for(tick);
  }
}

void Fleet::turn(Device& device) {
  if (device.lost) return;
  if (mosquitto_loop(device.client.get(), 0, 1) != MOSQ_ERR_SUCCESS)
    mosquitto_reconnect(device.client.get());
}

// Readings wander: each differs a little from the one before.
void Fleet::publish_reading(Device& device) {
  if (device.lost) return;
  const auto step = [this](double size) {
    return (static_cast<double>(random_.below(2001)) / 1000 - 1) * size;
  };
  device.temperature = std::clamp(device.temperature + step(0.5), -20.0, 45.0);
  device.humidity = std::clamp(device.humidity + step(1), 5.0, 100.0);
  device.battery = std::max(device.battery - 0.01, 1.0);
  struct Reading {
    std::string_view what;
    double value;
    std::string_view unit;
  };
  const std::array<Reading, 3> readings{{{"temperature", device.temperature, "C"},
                                         {"humidity", device.humidity, "%"},
                                         {"battery", device.battery, "%"}}};
  const Reading& reading = readings[device.readings++ % readings.size()];
  const std::string topic = fmt::format("sensors/{}/{}", device.name, reading.what);
  const std::string payload =
      fmt::format(R"({{"value":{:.1f},"unit":"{}"}})", reading.value, reading.unit);
  mosquitto_publish(device.client.get(), nullptr, topic.c_str(), static_cast<int>(payload.size()),
                    payload.data(), 1, false);
}

}  // namespace sluice::cli
