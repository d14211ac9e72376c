// Hubs on real shards, threads and the real disk: what the simulation, which is one thread, can't
// show. Meant for the thread sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <set>

#include "hub/hub.h"
#include "runtime/mailbox.h"
#include "runtime/shard.h"
#include "sim/temp_dir.h"
#include "stream/embedded.h"
#include "table/rocks_store.h"

namespace sluice::hub {
namespace {

constexpr int messages = 2000;  // of each client
constexpr std::uint32_t shards_count = 2;
constexpr int topics_each = 8;

// Publishes on its shard, a few messages a turn, and counts what it gets of everybody's.
class Client final : public PublisherSink, public SubscriberSink {
 public:
  Client(runtime::Loop& loop, Hub& hub, std::uint32_t number)
      : loop_(loop), hub_(hub), number_(number) {}

  // On its shard.
  void start() {
    publisher_ = hub_.add_publisher(*this);
    subscriber_ = hub_.add_subscriber(*this, number_);
    hub_.subscribe(subscriber_, "#", {.qos = 1}, [this](const Result<void>& done) {
      EXPECT_TRUE(done);
      subscribed.set_value();
    });
  }
  void publish_some() {
    for (int i = 0; i < 50 && sent_ < messages; ++i, ++sent_) {
      const std::string topic =
          "s/" + std::to_string(number_) + "/" + std::to_string(sent_ % topics_each);
      const std::string payload = std::to_string(sent_);
      if (!hub_.publish(publisher_, static_cast<std::uint64_t>(sent_) + 1,
                        {.topic = topic, .payload = as_bytes(payload), .qos = 1, .retain = true}))
        break;  // no room: later
    }
    if (sent_ < messages) loop_.post([this] { publish_some(); });
  }
  void end() {
    hub_.remove_publisher(publisher_);
    hub_.remove_subscriber(subscriber_);
  }

  void on_published(std::uint64_t up_to) override {
    if (up_to == messages) published.set_value();
  }
  void on_publish_failed(std::uint64_t, const Error& error) override {
    ADD_FAILURE() << error.text;
  }
  void on_room() override {}
  std::size_t on_records(const DeliveryBatch& batch) override {
    const std::size_t count = count_records(batch.deliveries);
    received_ += count;
    EXPECT_LE(received_, messages * shards_count) << "something came twice";
    if (received_ == messages * shards_count) received.set_value();
    return count;
  }

  std::promise<void> subscribed, published, received;

 private:
  runtime::Loop& loop_;
  Hub& hub_;
  std::uint32_t number_;
  Handle publisher_, subscriber_;
  int sent_ = 0;
  std::size_t received_ = 0;
};

// Subscribes when all is published, and gets the newest of each topic.
class LateClient final : public SubscriberSink {
 public:
  explicit LateClient(Hub& hub) : hub_(hub), handle_(hub.add_subscriber(*this, 0)) {
    hub_.subscribe(handle_, "s/#", {.qos = 1, .send_retained = true},
                   [](const Result<void>& done) { EXPECT_TRUE(done); });
  }
  ~LateClient() { hub_.remove_subscriber(handle_); }
  std::size_t on_records(const DeliveryBatch& batch) override {
    EXPECT_EQ(batch.origin, Origin::retained);
    const log::Block& block = *batch.block;
    const std::size_t count = count_records(batch.deliveries);
    for (std::size_t i = 0; i < count; ++i) {
      const log::Record& record = block.records()[record_at(batch.deliveries, i)];
      EXPECT_GE(std::stoi(std::string(as_text(block.value(record)))), messages - topics_each);
      EXPECT_TRUE(topics_.insert(std::string(as_text(block.key(record)))).second);
    }
    if (topics_.size() == shards_count * topics_each) received.set_value();
    return count;
  }

  std::promise<void> received;

 private:
  Hub& hub_;
  Handle handle_;
  std::set<std::string> topics_;
};

// A member of the group that takes the messages of all clients. It settles what it gets at once; or
// not at all, and leaves when it has some.
class SharedMember final : public SubscriberSink {
 public:
  struct Total {
    std::atomic<std::size_t> settled = 0;
    std::promise<void> all;
  };
  enum class Kind : std::uint8_t { settles, leaves };

  SharedMember(runtime::Loop& loop, Hub& hub, Total& total, Kind kind)
      : loop_(loop), hub_(hub), total_(total), kind_(kind), handle_(hub.add_subscriber(*this, 0)) {}
  ~SharedMember() { leave(); }
  void join(Done<void> joined) {
    hub_.subscribe(handle_, "$share/g/s/#", {.qos = 1, .window = 64}, std::move(joined));
  }
  void leave() { hub_.remove_subscriber(std::exchange(handle_, {})); }

  std::size_t on_records(const DeliveryBatch& batch) override {
    const std::size_t count = count_records(batch.deliveries);
    if (kind_ == Kind::leaves) {
      if (std::exchange(got_, got_ + count) == 0) loop_.post([this] { leave(); });
      return count;
    }
    std::vector<std::uint64_t> tickets;
    for (std::size_t i = 0; i < count; ++i) tickets.push_back(batch.first_ticket + i);
    hub_.settle(batch.membership, tickets);
    const std::size_t settled = total_.settled += count;
    EXPECT_LE(settled, messages * shards_count) << "something came twice";
    if (settled == messages * shards_count) total_.all.set_value();
    return count;
  }

 private:
  runtime::Loop& loop_;
  Hub& hub_;
  Total& total_;
  const Kind kind_;
  Handle handle_;
  std::size_t got_ = 0;
};

// Runs `work` on the loop and waits for it.
template <class Work>
void on(runtime::Loop& loop, Work work) {
  std::promise<void> done;
  loop.post_from_outside([&] { work([&] { done.set_value(); }); });
  done.get_future().wait();
}

TEST(HubThreads, ShardsExchangeMessagesWithoutLossOrRepeat) {
  const sim::TempDir root;
  auto disk = open_os_disk(root.path().string());
  ASSERT_TRUE(disk);
  runtime::Shards shards(shards_count);
  runtime::Mailboxes mailboxes(shards.loops());
  std::vector<Metrics> metrics(shards_count);
  log::Options options;
  options.journal_size = 8 << 20;
  auto backend = stream::EmbeddedBackend::open(
      **disk, options, {{&shards.loop(0), metrics.data()}, {&shards.loop(1), &metrics[1]}},
      mailboxes);
  ASSERT_TRUE(backend);
  const auto store = std::make_shared<table::RocksStore>(root.file("tables"));
  latest::Group latest_group(mailboxes);
  std::vector<std::unique_ptr<latest::Latest>> latests;
  Group group(mailboxes);
  std::vector<std::unique_ptr<Hub>> hubs;
  std::vector<std::unique_ptr<Client>> clients;
  for (std::uint32_t i = 0; i < shards_count; ++i) {
    latests.push_back(std::make_unique<latest::Latest>(
        latest_group, table::Table::Context{.loop = &shards.loop(i),
                                            .stream = &(*backend)->stream(ShardId{i}),
                                            .store = store,
                                            .metrics = &metrics[i],
                                            .shard = {i},
                                            .shards = shards_count}));
    latest_group.add(*latests.back());
    hubs.push_back(std::make_unique<Hub>(group, ShardId{i}, shards.loop(i),
                                         (*backend)->stream(ShardId{i}), *latests.back(),
                                         metrics[i], Options{}));
    group.add(*hubs.back());
    clients.push_back(std::make_unique<Client>(shards.loop(i), *hubs.back(), i));
  }

  shards.start();
  for (std::uint32_t i = 0; i < shards_count; ++i)
    on(shards.loop(i), [&](auto done) {
      hubs[i]->open([done](const Result<void>& opened) {
        EXPECT_TRUE(opened);
        done();
      });
    });
  on(shards.loop(1), [&](auto done) {
    (*backend)
        ->stream(ShardId{1})
        .create("s", {.partitions = 4, .wildcard = true},
                [done](const Result<stream::StreamInfo>& made) {
                  EXPECT_TRUE(made);
                  done();
                });
  });
  for (std::uint32_t i = 0; i < shards_count; ++i) {
    shards.loop(i).post_from_outside([&client = *clients[i]] { client.start(); });
    clients[i]->subscribed.get_future().wait();
  }
  SharedMember::Total shared;
  std::vector<std::unique_ptr<SharedMember>> members;
  for (const auto kind : {SharedMember::Kind::settles, SharedMember::Kind::leaves})
    for (std::uint32_t i = 0; i < shards_count; ++i)
      on(shards.loop(i), [&](auto done) {
        members.push_back(std::make_unique<SharedMember>(shards.loop(i), *hubs[i], shared, kind));
        members.back()->join([done](const Result<void>&) { done(); });
      });
  for (std::uint32_t i = 0; i < shards_count; ++i)
    shards.loop(i).post_from_outside([&client = *clients[i]] { client.publish_some(); });
  for (auto& client : clients) {
    client->published.get_future().wait();
    client->received.get_future().wait();
  }
  shared.all.get_future().wait();
  for (std::uint32_t i = 0; i < members.size(); ++i)
    on(shards.loop(i % shards_count), [&](auto done) {
      members[i].reset();
      done();
    });

  for (std::uint32_t i = 0; i < shards_count; ++i) {
    std::unique_ptr<LateClient> late;
    std::future<void> received;
    on(shards.loop(i), [&](auto done) {
      late = std::make_unique<LateClient>(*hubs[i]);
      received = late->received.get_future();
      done();
    });
    received.wait();
    on(shards.loop(i), [&](auto done) {
      late.reset();
      done();
    });
  }

  for (std::uint32_t i = 0; i < shards_count; ++i)
    on(shards.loop(i), [&](auto done) {
      clients[i]->end();
      done();
    });
  for (std::uint32_t i = 0; i < shards_count; ++i)
    on(shards.loop(i), [&](auto done) {
      latests[i]->stop([done](const Result<void>& stopped) {
        EXPECT_TRUE(stopped);
        done();
      });
    });
  on(shards.loop(0), [&](auto done) {
    (*backend)->stop([done](const Result<void>& stopped) {
      EXPECT_TRUE(stopped);
      done();
    });
  });
  shards.stop();
  hubs.clear();
}

}  // namespace
}  // namespace sluice::hub
