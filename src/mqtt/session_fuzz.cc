// A session under random packets and random answers of the hub. The first byte chooses the version
// and whether a valid CONNECT goes first; then each byte is a step: one of the hub's events, or a
// packet, whose bytes follow. Laws: those of SessionModel (QoS 0, 1, 2 and topic aliases in both
// directions); the limit on filters holds; the end is told once, and an ended session is silent.

#include <cstdint>
#include <cstdlib>
#include <optional>

#include "mqtt/session_model_test.h"

namespace sluice::mqtt {
namespace {

void check(bool law) {
  if (!law) std::abort();
}

constexpr Limits small_limits{.packet_max = 4096,
                              .receive_maximum = 4,
                              .max_inflight = 3,
                              .topic_alias_max = 3,
                              .filters_max = 8,
                              .subscriptions_max = 4};

class Run {
 public:
  Run(Version version, bool connect_first) : rig_(version, small_limits) {
    rig_.host.login_answer.reset();
    if (!connect_first) return;
    rig_.host.login_answer = access::Principal{};
    rig_.connected();
    rig_.host.claimed.reset();
    rig_.host.logging_in.reset();
    model_.emplace(version, small_limits);
  }

  void steps(Bytes in) {
    while (!in.empty()) {
      const auto step = std::to_integer<std::uint8_t>(in[0]);
      in = in.subspan(1);
      if (step % 8 < 6)
        event(step % 8, step / 8);
      else
        in = in.subspan(packet(in));
      check_output();
    }
    finish();
  }

 private:
  void event(int kind, std::uint8_t argument) {
    Session& session = rig_.session;
    switch (kind) {
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
        return answer_connect(argument < 31);
      default:
        if (argument == 0) return session.on_lost("fuzzed");
        if (argument == 1) return session.on_ended_by_server(Reason::keep_alive_timeout, "fuzzed");
        return deliver(argument);
    }
  }

  // The login, or else the claim.
  void answer_connect(bool granted) {
    if (rig_.host.logging_in) {
      rig_.host.logging_in.reset();
      if (granted) return rig_.session.on_logged_in(access::Principal{});
      return rig_.session.on_logged_in(fail(Errc::unauthorized, "fuzzed"));
    }
    if (!rig_.host.claimed) return;
    rig_.host.claimed.reset();
    if (!granted) return rig_.session.on_claimed(fail(Errc::closed, "fuzzed"));
    rig_.session.on_claimed({});
    if (rig_.session.connected()) model_.emplace(rig_.session.version(), small_limits);
  }

  // The hub says that all up to the `count`th that waits are durable.
  void publish_some(std::size_t count) {
    if (!model_) return;
    const auto waiting = model_->not_durable();
    if (count = std::min(count, waiting.size()); count == 0) return;
    model_->on_durable(waiting[count - 1]);
    rig_.session.on_published(waiting[count - 1]);
  }

  // As the hub does: fails what is not durable, before it says more.
  void fail_one() {
    if (!model_) return;
    const auto waiting = model_->not_durable();
    if (waiting.empty()) return;
    model_->on_failed(waiting.front());
    rig_.session.on_publish_failed(waiting.front(), {Errc::disk_full, "fuzzed"});
  }

  void deliver(std::uint8_t argument) {
    if (!rig_.session.connected()) return;
    const auto published = static_cast<std::uint8_t>(argument % 3);
    const auto granted = static_cast<std::uint8_t>(argument / 3 % 3);
    const std::string_view topic = argument < 18 ? "deliveries/one" : "deliveries/two";
    const auto too_large = rig_.counters.dropped_too_large.value();
    if (rig_.deliver(topic, published, granted) &&
        rig_.counters.dropped_too_large.value() == too_large)
      model_->on_delivered(topic, std::min(published, granted));
  }

  // Shows the packet that `in` begins with, or one that was to be shown again; returns how many
  // bytes of `in` it took.
  std::size_t packet(Bytes in) {
    Session& session = rig_.session;
    if (!session.ready()) return 0;
    const Bytes from = held_.empty() ? in : Bytes(held_);
    const auto cut = decode_frame(from, session.packet_max(), session.version());
    if (!cut) {
      session.refuse(cut.error());
      return 0;
    }
    const auto* frame = std::get_if<Frame>(&*cut);
    if (!frame) return in.size();
    const bool was_connected = session.connected();
    const std::size_t before = rig_.host.published.size();
    if (session.on_packet(*frame) == Session::Step::later) {
      check(!session.ready() && rig_.host.published.size() == before);
      if (!held_.empty()) return 0;
      append(held_, in.first(frame->size));
      return frame->size;
    }
    const auto stored = std::span(rig_.host.published).subspan(before);
    if (was_connected)
      model_->on_packet(*frame, stored, session.ended());
    else
      check(stored.empty());
    const std::size_t used = held_.empty() ? frame->size : 0;
    held_.clear();
    return used;
  }

  void check_output() {
    Bytes rest = rig_.host.output;
    if (ended_) check(rest.empty() && rig_.host.published.size() == published_at_end_);
    while (!rest.empty()) {
      const auto frame = std::get<Frame>(decode_frame(rest, 1 << 20).value());
      if (model_) model_->on_output(frame);
      rest = rest.subspan(frame.size);
    }
    rig_.host.output.clear();
    ended_ = rig_.session.ended();
    published_at_end_ = rig_.host.published.size();
    if (model_ && ended_) model_->forget();
    if (model_) {
      model_->on_step_end();
      check(model_->broken.empty());
    }
    check(rig_.host.filters.size() <= small_limits.subscriptions_max);
    check(rig_.host.ends == (ended_ ? 1 : 0));
    check(!ended_ || !rig_.session.ready());
  }

  // Nothing stays without PUBACK or PUBREC; then the will goes out, at most once.
  void finish() {
    publish_some(small_limits.receive_maximum);
    check_output();
    if (model_) check(model_->not_durable().empty());
    rig_.session.on_lost("the input is over");
    rig_.session.take_will();
    check(!rig_.session.take_will());
  }

  static constexpr Errc errors_[] = {Errc::busy, Errc::disk_full, Errc::invalid, Errc::too_large};

  SessionRig rig_;
  std::optional<SessionModel> model_;  // since CONNACK
  Buffer held_;                        // a packet that is to be shown again
  std::size_t published_at_end_ = 0;
  bool ended_ = false;
};

}  // namespace
}  // namespace sluice::mqtt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::mqtt;
  if (size == 0) return 0;
  const Version old = (data[0] & 4) != 0 ? Version::v3_1 : Version::v3_1_1;
  Run run((data[0] & 1) != 0 ? Version::v5 : old, (data[0] & 2) != 0);
  run.steps(std::as_bytes(std::span(data + 1, size - 1)));
  return 0;
}
