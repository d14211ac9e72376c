// A session under random packets and random answers of the hub. The first byte chooses the version
// and whether a valid CONNECT goes first; then each byte is a step: one of the hub's events, or a
// packet, whose bytes follow. Laws: a PUBLISH is acknowledged once, in its turn, and positively
// only when it is durable; the limits on waiting publishes and on filters hold; an ended session is
// silent.

#include <cstdint>
#include <cstdlib>
#include <deque>

#include "mqtt/session_rig_test.h"

namespace sluice::mqtt {
namespace {

void check(bool law) {
  if (!law) std::abort();
}

constexpr Options small_limits{
    .packet_max = 4096, .receive_maximum = 4, .filters_max = 8, .subscriptions_max = 4};

class Run {
 public:
  Run(Version version, bool connect_first) : rig_(version, small_limits) {
    if (!connect_first) return;
    rig_.connected();
    rig_.host.claimed.reset();
  }

  void steps(Bytes in) {
    while (!in.empty()) {
      const auto step = std::to_integer<std::uint8_t>(in[0]);
      in = in.subspan(1);
      if (step % 8 < 6)
        event(step);
      else
        in = in.subspan(packet(in));
      check_output();
    }
    finish();
  }

 private:
  // A publish of QoS 1 that the session has taken, until its PUBACK.
  struct Pending {
    std::uint16_t packet_id;
    std::uint64_t sequence;  // 0: never given to the hub
    bool failed = false;
  };

  void event(std::uint8_t step) {
    Session& session = rig_.session;
    const std::uint8_t argument = step / 8;
    switch (step % 8) {
      case 0:
        return publish_some(argument);
      case 1:
        return fail_one();
      case 2:
        rig_.host.publish_error =
            argument < 16 ? std::nullopt : std::optional(Error{errors_[argument % 4], "fuzzed"});
        return session.on_room();
      case 3:
        return rig_.answer_subscribes();
      case 4:
        return answer_claim(argument < 31);
      default:
        if (argument == 0) session.on_lost("fuzzed");
        if (argument == 1) session.on_ended_by_server(Reason::keep_alive_timeout, "fuzzed");
        return;
    }
  }

  void answer_claim(bool granted) {
    if (!rig_.host.claimed) return;
    rig_.host.claimed.reset();
    if (granted) return rig_.session.on_claimed({});
    rig_.session.on_claimed(fail(Errc::closed, "fuzzed"));
  }

  // The hub says that all up to the `count`th that waits are durable.
  void publish_some(std::size_t count) {
    for (const Pending& pending : pending_) {
      if (count-- == 0) break;
      durable_ = std::max(durable_, pending.sequence);
    }
    rig_.session.on_published(durable_);
  }

  // As the hub does: fails what is not durable, before it says more.
  void fail_one() {
    for (Pending& pending : pending_) {
      if (pending.sequence <= durable_ || pending.failed) continue;
      pending.failed = true;
      return rig_.session.on_publish_failed(pending.sequence, {Errc::disk_full, "fuzzed"});
    }
  }

  // Shows the packet that `in` begins with; returns its size.
  std::size_t packet(Bytes in) {
    Session& session = rig_.session;
    if (!session.ready()) return 0;
    const auto cut = decode_frame(in, session.packet_max());
    if (!cut) {
      session.refuse(cut.error());
      return 0;
    }
    const auto* frame = std::get_if<Frame>(&*cut);
    if (!frame) return in.size();
    const bool was_connected = session.connected();
    const std::size_t stored = rig_.host.published.size();
    const auto step = session.on_packet(*frame);
    if (step == Session::Step::later) {
      check(!session.ready() && rig_.host.published.size() == stored);
      return 0;
    }
    if (was_connected && !session.ended()) note_publish(*frame, stored);
    return frame->size;
  }

  void note_publish(const Frame& frame, std::size_t stored) {
    if (frame.type != PacketType::publish) return;
    const auto publish = decode_publish(frame, rig_.session.version()).value();
    const auto& published = rig_.host.published;
    check(published.size() <= stored + 1);
    if (publish.qos == 0) return;
    pending_.push_back({.packet_id = publish.packet_id,
                        .sequence = published.size() > stored ? published.back().sequence : 0});
    check(pending_.size() <= small_limits.receive_maximum);
  }

  void check_output() {
    Bytes rest = rig_.host.output;
    if (ended_) check(rest.empty() && rig_.host.published.size() == published_at_end_);
    while (!rest.empty()) {
      const auto frame = std::get<Frame>(decode_frame(rest, 1 << 20).value());
      if (frame.type == PacketType::puback)
        check_puback(decode_ack(frame.body, rig_.session.version()).value());
      rest = rest.subspan(frame.size);
    }
    rig_.host.output.clear();
    ended_ = rig_.session.ended();
    published_at_end_ = rig_.host.published.size();
    check(rig_.host.filters.size() <= small_limits.subscriptions_max);
    check(rig_.host.ends == (ended_ ? 1 : 0));
    check(!ended_ || !rig_.session.ready());
  }

  void check_puback(const Ack& ack) {
    check(!pending_.empty() && pending_.front().packet_id == ack.packet_id);
    const Pending& pending = pending_.front();
    const bool durable = pending.sequence != 0 && pending.sequence <= durable_ && !pending.failed;
    if (rig_.session.version() == Version::v5)
      check(durable == (ack.code < 0x80));
    else
      check(durable || pending.sequence == 0);  // 3.1.1 acknowledges a reserved topic, and drops
    pending_.pop_front();
  }

  // Nothing stays unanswered; then the will goes out, at most once.
  void finish() {
    publish_some(pending_.size());
    check_output();
    check(ended_ || pending_.empty());
    rig_.session.on_lost("the input is over");
    const std::size_t stored = rig_.host.published.size();
    const bool will = rig_.session.publish_will();
    check(rig_.host.published.size() <= stored + (will ? 1 : 0));
    check(!rig_.session.publish_will());
  }

  static constexpr Errc errors_[] = {Errc::busy, Errc::disk_full, Errc::invalid, Errc::too_large};

  SessionRig rig_;
  std::deque<Pending> pending_;
  std::uint64_t durable_ = 0;
  std::size_t published_at_end_ = 0;
  bool ended_ = false;
};

}  // namespace
}  // namespace sluice::mqtt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::mqtt;
  if (size == 0) return 0;
  Run run((data[0] & 1) != 0 ? Version::v5 : Version::v3_1_1, (data[0] & 2) != 0);
  run.steps(std::as_bytes(std::span(data + 1, size - 1)));
  return 0;
}
