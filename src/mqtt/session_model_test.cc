// A session under a client that keeps to the protocol but does everything late, twice and in every
// order that is allowed, and a hub that answers when it likes: by seed, against SessionModel. And
// the other way round: a session with a planted bug is found out.

#include "mqtt/session_model_test.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace sluice::mqtt {
namespace {

// What goes wrong between the session and those who watch it.
enum class Bug : std::uint8_t {
  none,
  ack_before_durable,
  ack_lost,
  ack_out_of_order,
  repeat_published,
  publish_lost,
  delivery_lost,
  delivery_twice,
  packet_id_in_use,
  pubcomp_lost,
  pubrel_lost,
  settling_lost,
};

constexpr Limits limits{.receive_maximum = 5, .max_inflight = 4, .topic_alias_max = 2};
constexpr std::uint16_t ids = 9;  // packet ids of the client: few, so that each is used often

class Trial {
 public:
  Trial(std::uint64_t seed, Bug bug)
      : random_(seed), version_(seed % 2 == 0 ? Version::v5 : Version::v3_1_1), bug_(bug) {
    Buffer properties;
    PropertyWriter(properties).number(PropertyId::topic_alias_maximum, 3);
    rig_.connected({.client_id = "c", .properties = {properties}});
  }

  // Returns the law that was broken, or nothing.
  std::string steps(int count) {
    for (int i = 0; i < count && model_.broken.empty(); ++i) step();
    for (int i = 0; i < 20 && model_.broken.empty(); ++i) drain();
    if (rig_.session.ended()) model_.broken = "a client that keeps to the protocol is not refused";
    model_.on_end();
    return model_.broken;
  }

 private:
  enum class Stage : std::uint8_t { free, published_qos1, published_qos2, received, released };

  void step() {
    switch (random_.below(11)) {
      case 0:
      case 1:
      case 2:
        return publish_new();
      case 3:
        return publish_again();
      case 4:
      case 5:
        return release();
      case 6:
      case 7:
        return answer_delivery();
      case 8:
        return deliver();
      case 9:
        return durable(random_.below(4));
      default:
        return random_.below(4) == 0 ? fail_one() : toggle_room();
    }
  }

  // Everything comes to its end.
  void drain() {
    rig_.host.publish_error.reset();
    rig_.session.on_room();
    durable(100);
    while (!received_.empty() && rig_.session.ready()) release();
    for (int i = 0; i < 10 && !to_answer_.empty(); ++i) answer_delivery();
    check_output();
  }

  // --- the client publishes

  std::uint16_t some_id() { return static_cast<std::uint16_t>(1 + random_.below(ids)); }

  void publish_new() {
    const auto qos = static_cast<std::uint8_t>(random_.below(3));
    const std::uint16_t id = qos == 0 ? 0 : some_id();
    std::size_t open = 0;
    for (const Stage stage : stage_) open += stage == Stage::free ? 0 : 1;
    if (qos > 0 && (stage_[id] != Stage::free || open >= limits.receive_maximum)) return;
    if (!publish(id, qos, false)) return;
    if (qos > 0) stage_[id] = qos == 1 ? Stage::published_qos1 : Stage::published_qos2;
    check_output();
  }
  // Of what has not been released; MQTT 5 does so on a new connection only, which is not this one.
  void publish_again() {
    const std::uint16_t id = some_id();
    if (stage_[id] != Stage::published_qos2 && stage_[id] != Stage::received) return;
    publish(id, 2, true);
    check_output();
  }
  // False: the session could not take it, so the client has not sent it.
  bool publish(std::uint16_t id, std::uint8_t qos, bool dup) {
    const std::string topic = fmt::format("topic/{}", ++published_);
    Buffer properties;
    const auto alias = static_cast<std::uint16_t>(random_.below(3));
    const bool by_alias = version_ == Version::v5 && alias > 0;
    if (by_alias) PropertyWriter(properties).number(PropertyId::topic_alias, alias);
    const bool known = by_alias && told_[alias] && random_.below(2) == 0;
    Buffer wire;
    const OutgoingPublish packet{.topic = known ? std::string_view() : topic,
                                 .payload = as_bytes("x"),
                                 .packet_id = id,
                                 .qos = qos,
                                 .dup = dup,
                                 .properties = {properties}};
    encode_publish(wire, version_, packet, measure_publish(version_, packet));
    if (!show(wire)) return false;
    if (by_alias) told_[alias] = true;
    return true;
  }
  // PUBREL, in the order of the PUBRECs ([MQTT-4.6.0-4]), or once more.
  void release() {
    if (random_.below(8) == 0) {
      const std::uint16_t id = some_id();
      if (stage_[id] == Stage::released) ack(PacketType::pubrel, id);
    } else if (!received_.empty() && rig_.session.ready()) {
      const std::uint16_t id = received_.front();
      received_.pop_front();
      stage_[id] = Stage::released;
      ack(PacketType::pubrel, id);
    }
    check_output();
  }

  // --- the client gets messages

  void answer_delivery() {
    if (random_.below(20) == 0) ack(PacketType::pubrec, 60'000);
    if (to_answer_.empty() || !rig_.session.ready()) return check_output();
    const std::size_t some = random_.below(to_answer_.size());
    const auto [id, type] = to_answer_[some];
    to_answer_.erase(to_answer_.begin() + static_cast<std::ptrdiff_t>(some));
    const bool refuses =
        type != PacketType::pubcomp && version_ == Version::v5 && random_.below(6) == 0;
    ack(type, id, refuses ? Reason::quota_exceeded : Reason::success);
    if (type == PacketType::pubrec && !refuses && random_.below(4) == 0) ack(type, id);
    check_output();
  }

  // --- the hub

  void deliver() {
    if (rig_.session.ended()) return;
    const std::string topic = fmt::format("deliveries/{}", random_.below(5));
    const auto published = static_cast<std::uint8_t>(random_.below(3));
    const auto granted = static_cast<std::uint8_t>(random_.below(3));
    const bool shared = random_.below(3) == 0;
    const auto origin = shared ? hub::Origin::shared : hub::Origin::log;
    if (rig_.deliver(topic, published, granted, origin, ++tickets_))
      model_.on_delivered(topic, std::min(published, granted),
                          shared ? std::optional(tickets_) : std::nullopt);
    check_output();
  }
  void durable(std::size_t count) {
    const auto sequences = model_.not_durable();
    count = std::min(count, sequences.size());
    if (count == 0) return;
    const std::uint64_t up_to = sequences[count - 1];
    if (!strikes(Bug::ack_before_durable)) model_.on_durable(up_to);
    rig_.session.on_published(up_to);
    check_output();
  }
  void fail_one() {
    const auto sequences = model_.not_durable();
    if (sequences.empty() || version_ == Version::v3_1_1) return;
    const std::uint64_t sequence = sequences[random_.below(sequences.size())];
    model_.on_failed(sequence);
    rig_.session.on_publish_failed(sequence, {Errc::disk_full, "by seed"});
    check_output();
  }
  void toggle_room() {
    if (rig_.host.publish_error) {
      rig_.host.publish_error.reset();
      rig_.session.on_room();
    } else {
      rig_.host.publish_error = Error{Errc::busy, "by seed"};
    }
  }

  // --- between them

  void ack(PacketType type, std::uint16_t id, Reason reason = Reason::success) {
    Buffer wire;
    encode_ack(wire, version_, type,
               {.packet_id = id, .code = static_cast<std::uint8_t>(reason), .properties = {}});
    show(wire);
  }
  bool show(Bytes wire) {
    if (!rig_.session.ready()) return false;
    const auto frame = std::get<Frame>(decode_frame(wire, 1 << 20).value());
    const std::size_t before = rig_.host.published.size();
    while (rig_.session.on_packet(frame) == Session::Step::later) {
      rig_.host.publish_error.reset();
      rig_.session.on_room();
    }
    std::vector<FakeHost::Published> stored(
        rig_.host.published.begin() + static_cast<std::ptrdiff_t>(before),
        rig_.host.published.end());
    const bool is_publish = frame.type == PacketType::publish;
    if (is_publish && stored.empty() && strikes(Bug::repeat_published)) stored.emplace_back();
    if (is_publish && !stored.empty() && strikes(Bug::publish_lost)) stored.clear();
    model_.on_packet(frame, stored, rig_.session.ended());
    return true;
  }

  void check_output() {
    const Buffer output = std::exchange(rig_.host.output, {});
    std::vector<Frame> frames;
    for (Bytes rest = output; !rest.empty(); rest = rest.subspan(frames.back().size))
      frames.push_back(std::get<Frame>(decode_frame(rest, 1 << 20).value()));
    tamper(frames);
    for (const Frame& frame : frames) {
      model_.on_output(frame);
      read(frame);
    }
    for (auto* settled : {&rig_.host.settled, &rig_.context.delivery.settled}) {
      if (strikes(Bug::settling_lost)) settled->clear();
      for (const std::uint64_t ticket : std::exchange(*settled, {})) model_.on_settled(ticket);
    }
    model_.on_step_end();
  }

  // What the client makes of a packet.
  void read(const Frame& frame) {
    if (frame.type == PacketType::publish) {
      const auto publish = decode_publish(frame, version_).value();
      if (publish.qos > 0)
        to_answer_.emplace_back(publish.packet_id,
                                publish.qos == 1 ? PacketType::puback : PacketType::pubrec);
      return;
    }
    if (frame.type == PacketType::disconnect) return;
    const Ack ack = decode_ack(frame.body, version_).value();
    if (frame.type == PacketType::pubrel) {
      const auto answer = std::pair(ack.packet_id, PacketType::pubcomp);
      if (ack.packet_id < 60'000 && std::ranges::find(to_answer_, answer) == to_answer_.end())
        to_answer_.push_back(answer);
    } else if (frame.type != PacketType::pubrec || ack.code >= 0x80) {
      stage_[ack.packet_id] = Stage::free;
    } else if (stage_[ack.packet_id] == Stage::published_qos2) {
      stage_[ack.packet_id] = Stage::received;
      received_.push_back(ack.packet_id);
    }
  }

  // Now and then, and only the bug of this run.
  bool strikes(Bug bug) { return bug == bug_ && random_.below(8) == 0; }

  void tamper(std::vector<Frame>& frames) {
    const auto first = [&](auto... types) {
      return std::ranges::find_if(
          frames, [&](const Frame& frame) { return ((frame.type == types) || ...); });
    };
    const auto lose = [&](auto found) {
      if (found != frames.end()) frames.erase(found);
    };
    using enum PacketType;
    if (strikes(Bug::ack_lost)) lose(first(puback, pubrec));
    if (strikes(Bug::pubcomp_lost)) lose(first(pubcomp));
    if (strikes(Bug::pubrel_lost)) lose(first(pubrel));
    if (strikes(Bug::delivery_lost)) lose(first(publish));
    if (strikes(Bug::delivery_twice))
      if (const auto found = first(publish); found != frames.end()) frames.push_back(*found);
    if (bug_ == Bug::ack_out_of_order) std::ranges::reverse(frames);
    if (strikes(Bug::packet_id_in_use)) reuse_packet_id(first(publish), frames.end());
  }
  // The delivery goes out under the packet id of the one before it.
  void reuse_packet_id(std::vector<Frame>::iterator found, std::vector<Frame>::iterator end) {
    if (found == end || to_answer_.empty()) return;
    const auto publish = decode_publish(*found, version_).value();
    if (publish.qos == 0) return;
    forged_.clear();
    append(forged_, found->body);
    store_be<std::uint16_t>(forged_.data() + 2 + publish.topic.size(), to_answer_.front().first);
    found->body = forged_;
  }

  Random random_;
  Version version_;
  Bug bug_;
  SessionRig rig_{version_, limits};
  SessionModel model_{version_, limits};
  std::array<Stage, ids + 1> stage_{};                           // of the client's publishes
  std::deque<std::uint16_t> received_;                           // to be released, in order
  std::vector<std::pair<std::uint16_t, PacketType>> to_answer_;  // deliveries
  std::array<bool, 3> told_{};                                   // topic aliases
  int published_ = 0;
  std::uint64_t tickets_ = 0;  // of shared subscriptions
  Buffer forged_;
};

class SessionBySeed : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(SessionBySeed, KeepsTheLawsOfQos0To2InBothDirections) {
  EXPECT_EQ(Trial(GetParam(), Bug::none).steps(2000), "");
}

INSTANTIATE_TEST_SUITE_P(Seeds, SessionBySeed, ::testing::Range<std::uint64_t>(0, 40));

TEST(SessionModel, FindsEachPlantedBugOut) {
  for (auto bug = Bug::ack_before_durable; bug <= Bug::settling_lost;
       bug = static_cast<Bug>(static_cast<int>(bug) + 1)) {
    for (std::uint64_t seed = 0; seed < 4; ++seed)
      EXPECT_NE(Trial(seed, bug).steps(10'000), "")
          << "bug " << static_cast<int>(bug) << ", seed " << seed;
  }
}

}  // namespace
}  // namespace sluice::mqtt
