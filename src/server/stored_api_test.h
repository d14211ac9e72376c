#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "hub/clients_test.h"
#include "mqtt/stored_broker_test.h"
#include "server/api.h"

namespace sluice::server {

// The API of a simulated hub with stored sessions, for tests of its parts: each adds its own to
// `api_`.
class StoredApiTest : public testing::Test {
 protected:
  static constexpr std::uint32_t expiry_s = 3600;

  http::Response call(const std::string& method, const std::string& path,
                      const std::string& query = "") {
    http::Request request;
    request.method = method;
    request.path = path;
    request.query = query;
    std::optional<http::Response> answer;
    api_.on_request(request, "ann", [&](http::Response response) { answer = std::move(response); });
    SLUICE_ASSERT(run_until([&] { return answer.has_value(); }));
    return *answer;
  }
  // A session whose client is connected, as a front end makes it.
  sessions::Uid connect(const std::string& client_id) {
    std::optional<sessions::Opened> opened;
    store().connect({.client_id = client_id, .clean = false, .expiry_s = expiry_s},
                    [&](Result<sessions::Opened> result) { opened = std::move(*result); });
    SLUICE_ASSERT(run_until([&] { return opened.has_value(); }));
    return opened->uid;
  }
  void put_filter(const std::string& client_id, sessions::Uid uid, sessions::Filter filter) {
    wait_for([&](Done<void> done) {
      store().put_filter(client_id, uid, std::move(filter), std::move(done));
    });
  }
  // And so of a shared subscription of the session, whose connection is `member`.
  void subscribe_shared(const std::string& client_id, sessions::Uid uid,
                        hub::TestSubscriber& member, const std::string& text) {
    hub::Hub& hub = *broker_.hub.hubs[0];
    wait_for([&](Done<void> done) {
      hub.subscribe_shared(member.handle(), text, {.qos = 1}, client_id, std::move(done));
    });
    put_filter(client_id, uid,
               {.text = text, .qos = 1, .share = hub.share_of(member.handle(), text)});
  }
  void disconnect(const std::string& client_id, sessions::Uid uid,
                  const sessions::Progress& progress = {}, std::uint32_t expiry = expiry_s) {
    wait_for([&](Done<void> done) {
      store().disconnect(client_id, uid, expiry, false, progress, std::move(done));
    });
  }
  void publish(const std::string& topic, std::uint64_t count) {
    hub::TestPublisher publisher(broker_.hub, 7);
    for (std::uint64_t i = 0; i < count; ++i) ASSERT_TRUE(publisher.publish(topic, "x"));
    ASSERT_TRUE(run_until([&] { return publisher.durable == count; }));
  }
  void delete_records(Partition partition, Offset before) {
    std::optional<Offset> start;
    stream().delete_records(partition, before,
                            [&](const Result<Offset>& result) { start = *result; });
    ASSERT_TRUE(run_until([&] { return start.has_value(); }));
  }
  void remove_stream(const std::string& name) {
    wait_for([&](Done<void> done) { stream().remove(name, std::move(done)); });
  }
  Partition partition_of(const std::string& name, std::uint32_t index = 0) {
    return {stream().catalogue().find(name)->id, index};
  }

  stream::Stream& stream() { return broker_.hub.stream(0); }
  sessions::Sessions& store() { return *broker_.sessions[0]; }
  void wait_for(std::move_only_function<void(Done<void>)> start) {
    std::optional<Result<void>> result;
    start([&](Result<void> done) { result = std::move(done); });
    ASSERT_TRUE(run_until([&] { return result.has_value(); }));
    ASSERT_TRUE(*result) << result->error().text;
  }
  bool run_until(std::move_only_function<bool()> done) {
    return broker_.hub.world.run_until(std::move(done));
  }
  void run() { broker_.hub.world.run_until_idle(); }

  mqtt::StoredBroker broker_{1, 2, std::make_shared<hub::SimMachine>(1), {}, {}};
  Api api_{[] { return true; }};
};

}  // namespace sluice::server
