#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "mqtt/broker_test.h"

namespace sluice::mqtt {

// A server per shard; clients go to one after the other. The parameter: how many shards.
class ShardedServerTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  TestClient connected(std::string_view id, Version version = Version::v5,
                       PropertyBlock properties = {}) {
    auto client = broker.client(version, clients_++ % GetParam());
    SLUICE_ASSERT(client.connect(id, {.properties = properties}) == 0);
    return client;
  }

  Broker broker{1, {}, GetParam()};

 private:
  std::uint32_t clients_ = 0;
};

}  // namespace sluice::mqtt
