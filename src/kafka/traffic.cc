#include "kafka/traffic.h"

namespace sluice::kafka {

namespace {
constexpr Logger logger("kafka");
constexpr std::int16_t known_keys_max = 100;  // beyond all keys that Apache Kafka has given out
}  // namespace

std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::bad_frame:
      return "bad_frame";
    case Refusal::frame_too_large:
      return "frame_too_large";
    case Refusal::malformed_request:
      return "malformed_request";
    case Refusal::unknown_api:
      return "unknown_api";
    case Refusal::unsupported_version:
      return "unsupported_version";
    case Refusal::unauthorized:
      return "unauthorized";
    case Refusal::login_failed:
      return "login_failed";
    case Refusal::failed_without_acks:
      return "failed_without_acks";
    case Refusal::idle:
      return "idle";
  }
  return "unknown";
}

Traffic::Traffic(Metrics& metrics, runtime::Loop& loop)
    : metrics_(metrics),
      loop_(loop),
      connections_(
          metrics.gauge("sluice_connections", "Open client connections", R"(protocol="kafka")")),
      received_(
          metrics.counter("sluice_kafka_received_bytes_total", "Bytes read from Kafka clients")),
      sent_(metrics.counter("sluice_kafka_sent_bytes_total", "Bytes sent to Kafka clients")) {
  for (const Api& api : all_apis()) {
    requests_.push_back(&metrics.counter("sluice_kafka_requests_total", "Requests of Kafka clients",
                                         fmt::format(R"(api="{}")", api.name)));
  }
  for (std::size_t i = 0; i < refusal_count; ++i) {
    refusals_[i] = &metrics.counter(
        "sluice_kafka_errors_total", "Kafka connections closed for a fault of the peer",
        fmt::format(R"(reason="{}")", to_string(static_cast<Refusal>(i))));
  }
}

void Traffic::refused(Refusal refusal, const runtime::Endpoint& peer, std::string_view text) {
  refusals_[static_cast<std::size_t>(refusal)]->add();
  const bool not_logged = refusal == Refusal::idle || refusal == Refusal::login_failed;
  if (not_logged || !log_limit_.allow(loop_.wall_ms())) return;
  logger.warn("connection closed", {{"reason", to_string(refusal)},
                                    {"peer", runtime::to_string(peer)},
                                    {"error", text},
                                    {"suppressed", log_limit_.take_suppressed()}});
}

void Traffic::not_offered(std::int16_t key) {
  const bool known = key >= 0 && key <= known_keys_max;
  const auto labels = known ? fmt::format(R"(api_key="{}")", key) : R"(api_key="other")";
  metrics_
      .counter("sluice_kafka_not_offered_total",
               "Requests of a kind or version that is not offered", labels)
      .add();
}

}  // namespace sluice::kafka
