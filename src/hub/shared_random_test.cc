// Shared subscriptions by seed: members on several shards come, go, get stuck and settle late. A
// simple model says what must hold for every record: one member at a time has it, it is settled
// once, and it is given again only because the one who had it left.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "hub/clients_test.h"
#include "hub/sim_hub_test.h"

namespace sluice::hub {
namespace {

const std::string filter = "$share/g/#";
constexpr std::uint32_t window = 8;

// What is known of each record, by its payload.
class Model {
 public:
  void on_published(const std::string& record) { published_.insert(record); }
  void on_given(const std::string& record, int member) {
    EXPECT_TRUE(published_.contains(record));
    EXPECT_FALSE(settled_.contains(record)) << record << " is settled, and given again";
    EXPECT_TRUE(holders_.emplace(record, member).second)
        << record << " is given to " << member << " while " << holders_[record] << " has it";
  }
  void on_settled(const std::string& record) {
    EXPECT_TRUE(settled_.insert(record).second);
    holders_.erase(record);
  }
  void on_left(int member) {
    std::erase_if(holders_, [&](const auto& held) { return held.second == member; });
  }
  [[nodiscard]] std::size_t published() const { return published_.size(); }
  [[nodiscard]] std::size_t settled() const { return settled_.size(); }

 private:
  std::set<std::string> published_, settled_;
  std::map<std::string, int> holders_;
};

class Member final : public SubscriberSink {
 public:
  // `nothing_comes_back`: all members take all there is, and none leaves.
  Member(SimHub& sim, std::uint32_t shard, int number, Model& model, bool nothing_comes_back)
      : hub_(*sim.hubs[shard]),
        random_(sim.world.random()),
        number_(number),
        model_(model),
        nothing_comes_back_(nothing_comes_back),
        handle_(hub_.add_subscriber(*this, static_cast<std::uint64_t>(number))) {}
  ~Member() {
    model_.on_left(number_);
    hub_.remove_subscriber(handle_);
  }

  void join() {
    joined_ = true;
    hub_.subscribe(handle_, filter, {.qos = 1, .window = window}, [](const Result<void>&) {});
  }
  // What it has it may still settle.
  void unsubscribe() {
    hub_.unsubscribe(handle_, filter);
    joined_ = false;
  }
  [[nodiscard]] bool joined() const { return joined_; }
  void take(std::size_t more) {
    room_ = more;
    hub_.resume(handle_);
  }
  // Any of what is open.
  void settle_one() {
    if (open_.empty()) return;
    const std::size_t which = random_.below(open_.size());
    model_.on_settled(open_[which].record);
    hub_.settle(open_[which].ticket.membership, {&open_[which].ticket.number, 1});
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
  }
  void settle_all() {
    while (!open_.empty()) settle_one();
  }

  std::size_t on_records(const DeliveryBatch& batch) override {
    EXPECT_TRUE(joined_) << "nothing comes after an unsubscribe";
    EXPECT_EQ(batch.origin, Origin::shared);
    std::size_t taken = 0;
    for (const auto& [first, count, grant] : batch.deliveries)
      for (std::uint32_t i = first; i < first + count; ++i) {
        if (room_ == 0) return taken;
        --room_;
        take_record(*batch.block, batch.block->records()[i],
                    {batch.membership, batch.first_ticket + taken++});
      }
    return taken;
  }

 private:
  struct Open {
    std::string record;
    Ticket ticket;
  };
  void take_record(const log::Block& block, const log::Record& record, const Ticket& ticket) {
    const std::string key(as_text(block.key(record))), payload(as_text(block.value(record)));
    const int n = std::stoi(payload.substr(payload.find(' ')));
    if (nothing_comes_back_) {
      EXPECT_GT(n, newest_.try_emplace(key, -1).first->second) << "a topic is in order";
    }
    newest_[key] = n;
    model_.on_given(payload, number_);
    // Like a message of QoS 0: done with at once.
    if (random_.one_in(8)) {
      model_.on_settled(payload);
      hub_.settle(ticket.membership, {&ticket.number, 1});
    } else {
      open_.push_back({payload, ticket});
    }
    EXPECT_LE(open_.size(), window);
  }

  Hub& hub_;
  Random& random_;
  const int number_;
  Model& model_;
  const bool nothing_comes_back_;
  Handle handle_;
  bool joined_ = false;
  std::size_t room_ = 1'000'000;
  std::vector<Open> open_;
  std::map<std::string, int> newest_;
};

class Story {
 public:
  Story(std::uint64_t seed, std::uint32_t shards)
      : sim_(seed, shards), shards_(shards), random_(sim_.world.random()), calm_(seed % 5 == 0) {
    for (std::uint32_t i = 0; i < shards; ++i)
      publishers_.push_back(std::make_unique<TestPublisher>(sim_, 1000 + i, i));
    if (random_.one_in(2)) sim_.create("s", {.partitions = 3, .wildcard = true});
    // Keeps the group alive.
    add_member();
    sim_.world.run_until_idle();
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      step();
      sim_.world.run_for(std::chrono::microseconds(random_.below(300)));
    }
    finish();
  }

 private:
  void step() {
    switch (random_.below(12)) {
      case 0:
        return add_member();
      case 1:
      case 2:
      case 3:
      case 4:
        if (!calm_) disturb();
        return;
      case 5:
      case 6:
      case 7:
        for (auto n = random_.below(6); n > 0; --n) any().settle_one();
        return;
      default:
        for (auto n = random_.below(10); n > 0; --n) publish();
    }
  }

  void disturb() {
    switch (random_.below(4)) {
      case 0:
        return remove_member();
      case 1:
        if (const auto at = random_.below(members_.size()); at > 0 && members_[at]->joined())
          members_[at]->unsubscribe();
        return;
      case 2:
        return any().take(random_.below(4));
      default:
        return any().take(1000);
    }
  }

  Member& any() { return *members_[random_.below(members_.size())]; }
  void add_member() {
    if (members_.size() > 6) return;
    const auto shard = static_cast<std::uint32_t>(random_.below(shards_));
    members_.push_back(std::make_unique<Member>(sim_, shard, ++members_made_, model_, calm_));
    members_.back()->join();
  }
  void remove_member() {
    if (members_.size() < 2) return;
    const auto at = 1 + random_.below(members_.size() - 1);
    members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void publish() {
    const auto topic = random_.below(5);
    const std::string record = std::to_string(topic) + " " + std::to_string(published_[topic]++);
    // A topic has one publisher, so that its order is known.
    EXPECT_TRUE(publishers_[topic % shards_]->publish("s/" + std::to_string(topic), record));
    model_.on_published(record);
  }

  void finish() {
    for (int i = 0; i < 1000 && model_.settled() < model_.published(); ++i) {
      for (auto& member : members_) {
        member->settle_all();
        member->take(1'000'000);
      }
      sim_.world.run_until_idle();
    }
    EXPECT_EQ(model_.settled(), model_.published()) << "nothing is lost";
  }

  SimHub sim_;
  const std::uint32_t shards_;
  Random& random_;
  const bool calm_;  // nothing ever comes back
  Model model_;
  std::vector<std::unique_ptr<TestPublisher>> publishers_;
  std::vector<std::unique_ptr<Member>> members_;
  std::map<std::uint64_t, int> published_;
  int members_made_ = 0;
};

TEST(SharedBySeed, EveryRecordIsSettledOnceAndWithOneMemberAtATime) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Story(seed, 1 + static_cast<std::uint32_t>(seed % 3)).run(150);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::hub
