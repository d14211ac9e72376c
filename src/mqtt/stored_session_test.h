#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {

// Sessions that outlive their connections, between a client and a host that a test plays.
class StoredSessionTest : public testing::Test {
 protected:
  static constexpr std::uint32_t day_s = 86'400;
  static constexpr Partition partition{{1 << 20}, 0};

  static Position at(std::int64_t offset) { return {partition, {offset}}; }
  static Limits limits() {
    Limits limits;
    limits.session_expiry_max_s = day_s;
    return limits;
  }
  // CONNECT of a client that wants its session kept.
  static void connect(SessionRig& rig, std::uint32_t expiry_s = day_s,
                      std::uint16_t receive_maximum = 100) {
    Buffer properties;
    PropertyWriter writer(properties);
    writer.number(PropertyId::session_expiry, expiry_s);
    writer.number(PropertyId::receive_maximum, receive_maximum);
    rig.connect({.clean_start = false, .client_id = "c", .properties = {properties}});
    rig.session.on_claimed({});
  }
  static void connected(SessionRig& rig, sessions::Opened opened = {.uid = 42}) {
    rig.host.opened_answer = std::move(opened);
    connect(rig);
    rig.sent();
  }
  // A client that had come to offset 5 is back; the log ends at 10.
  static void connected_late(SessionRig& rig) {
    rig.host.tails = {at(10)};
    connected(rig, present({.next = {at(5)}}));
  }
  static sessions::Opened present(sessions::Progress progress) {
    return {.present = true,
            .uid = 42,
            .filters = {{.text = "#", .qos = 2}},
            .progress = std::move(progress)};
  }
};

}  // namespace sluice::mqtt
