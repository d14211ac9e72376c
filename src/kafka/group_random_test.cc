// Groups by seed: members that come, go, fall silent and talk nonsense at random moments.

#include <algorithm>

#include "kafka/group_rig_test.h"

namespace sluice::kafka {
namespace {

using namespace std::chrono_literals;

constexpr int session_ms = 6'000;
constexpr int rebalance_ms = 20'000;

// What a generation was told to be, by the first of its answers.
struct Generation {
  std::string protocol;
  std::string leader;
  std::optional<std::map<std::string, std::string>> assignment;  // as the leader first gave it
};

// A member as its client sees it.
struct Client {
  std::string id;
  std::optional<std::string> instance;
  std::int32_t generation = -1;
  std::optional<Ticket> joining;
  std::optional<Ticket> syncing;
  runtime::TimePoint since{};
};

class Crowd {
 public:
  explicit Crowd(std::uint64_t seed)
      : random_(seed), rig_({.initial_rebalance_delay = (seed % 3) * 1s}, seed) {
    for (int i = 0; i < 6; ++i) {
      Client& client = clients_.emplace_back();
      if (i % 3 == 0) client.instance = fmt::format("instance-{}", i);
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      act(clients_[random_.below(clients_.size())]);
      if (random_.one_in(3)) store();
      if (random_.one_in(3)) rig_.wait(std::chrono::milliseconds(random_.below(3'000)));
      collect();
      check_deadline();
    }
  }

  // All are left alone: whoever waits must hear something in bounded time.
  void settle() {
    for (int i = 0; i < 4; ++i) {
      rig_.wait(std::chrono::milliseconds(rebalance_ms));
      store();
      collect();
    }
    for (const Client& client : clients_) {
      EXPECT_FALSE(client.joining) << "a join was never answered";
      EXPECT_FALSE(client.syncing) << "a sync was never answered";
    }
    EXPECT_EQ(rig_.group.state(), Group::State::empty) << "nobody beats any more";
  }

  int assignments = 0;
  int rebalances() const { return rig_.rebalances; }

 private:
  void store() { rig_.store(!random_.one_in(10)); }

  void act(Client& client) {
    const bool waits = client.joining || client.syncing;
    switch (random_.below(8)) {
      case 0:
      case 1:
      case 2:
        if (!waits) join(client);
        break;
      case 3:
      case 4:
        if (!waits && client.generation >= 0) sync(client);
        break;
      case 5:
        beat(client);
        break;
      case 6:
        if (random_.one_in(3)) leave(client);
        break;
      case 7:
        if (waits && random_.one_in(3)) vanish(client);
        break;
    }
  }

  void join(Client& client) {
    std::vector<std::pair<std::string, std::string>> protocols{{"range", "r"}};
    if (random_.one_in(2)) protocols.insert(protocols.begin(), {"sticky", "s"});
    const bool forgets = client.instance && random_.one_in(3);  // a restarted static member
    client.joining = rig_.join({.member_id = forgets ? "" : client.id,
                                .instance = client.instance,
                                .protocols = protocols,
                                .session_ms = session_ms,
                                .rebalance_ms = rebalance_ms,
                                .version = random_.one_in(2) ? std::int16_t{3} : std::int16_t{9}});
    client.since = rig_.now;
  }

  void sync(Client& client) {
    std::map<std::string, std::string> given;
    const auto known = generations_.find(client.generation);
    if (known != generations_.end() && known->second.leader == client.id) {
      for (const auto& member : rig_.group.row().members)
        given[member.id] = fmt::format("{} in {}", member.id, client.generation);
      // Later ones of the same generation are not heard.
      if (!known->second.assignment) known->second.assignment = given;
    } else if (random_.one_in(4)) {
      given[client.id] = "usurped";
    }
    client.syncing = rig_.sync(client.id, client.generation, given, client.instance);
    client.since = rig_.now;
  }

  void beat(Client& client) {
    if (client.id.empty()) return;
    const auto code = rig_.heartbeat(client.id, client.generation, client.instance);
    if (code == ErrorCode::unknown_member_id || code == ErrorCode::fenced_instance_id) {
      forget(client);
    }
  }

  void leave(Client& client) {
    if (client.id.empty()) return;
    rig_.leave(client.id, client.instance);
    collect();
    forget(client);
  }

  void vanish(Client& client) {
    if (client.joining) rig_.cancel(*client.joining);
    if (client.syncing) rig_.cancel(*client.syncing);
    client.joining.reset();
    client.syncing.reset();
  }

  static void forget(Client& client) {
    client.id.clear();
    client.generation = -1;
  }

  void collect() {
    for (Client& client : clients_) {
      if (client.joining && rig_.joined(*client.joining)) on_joined(client);
      if (client.syncing && rig_.synced(*client.syncing)) on_synced(client);
    }
  }

  void on_joined(Client& client) {
    const auto& answer = rig_.join_answer(*std::exchange(client.joining, {}));
    EXPECT_LE(rig_.now - client.since, 3 * rebalance_ms * 1ms) << "a join waited too long";
    if (answer.error_code == ErrorCode::member_id_required) {
      client.id = answer.member_id;
      return;
    }
    if (answer.error_code != ErrorCode::none) return forget(client);
    client.id = answer.member_id;
    client.generation = answer.generation_id;
    EXPECT_LE(answer.generation_id, rig_.group.generation());
    Generation& generation =
        generations_.try_emplace(answer.generation_id, answer.protocol_name, answer.leader)
            .first->second;
    EXPECT_EQ(answer.protocol_name, generation.protocol);
    // A static leader that came back has another member id.
    if (answer.leader == client.id) generation.leader = client.id;
    EXPECT_TRUE(answer.leader == client.id || answer.members.empty())
        << "only the leader is told of the others";
  }

  void on_synced(Client& client) {
    const auto& answer = rig_.sync_answer(*std::exchange(client.syncing, {}));
    EXPECT_LE(rig_.now - client.since, 3 * rebalance_ms * 1ms) << "a sync waited too long";
    if (answer.error_code == ErrorCode::rebalance_in_progress ||
        answer.error_code == ErrorCode::coordinator_not_available)
      return;
    if (answer.error_code != ErrorCode::none) return forget(client);
    ++assignments;
    const Generation& generation = generations_.at(client.generation);
    EXPECT_EQ(answer.protocol_name, generation.protocol);
    ASSERT_TRUE(generation.assignment) << "an assignment before its leader gave one";
    const std::string got(as_text(answer.assignment));
    const bool from_leader = std::ranges::any_of(
        *generation.assignment, [&](const auto& given) { return given.second == got; });
    EXPECT_TRUE(from_leader || got.empty()) << got;
    if (!client.instance) {
      EXPECT_EQ(got, generation.assignment->at(client.id));
    }
  }

  void check_deadline() {
    const auto state = rig_.group.state();
    if (state == Group::State::empty) return;
    const bool stores = !rig_.storing.empty();
    EXPECT_TRUE(stores || rig_.group.deadline() <= rig_.now + rebalance_ms * 1ms)
        << "something must end every state that is not for ever";
  }

  Random random_;
  GroupRig rig_;
  std::vector<Client> clients_;
  std::map<std::int32_t, Generation> generations_;
};

TEST(GroupBySeed, AgreesAnswersAndEndsWhateverItsMembersDo) {
  int assignments = 0;
  int rebalances = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Crowd crowd(seed);
    crowd.run(400);
    crowd.settle();
    assignments += crowd.assignments;
    rebalances += crowd.rebalances();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(assignments, 300) << "the members must get somewhere for this to say anything";
  EXPECT_GT(rebalances, 3000);
}

}  // namespace
}  // namespace sluice::kafka
