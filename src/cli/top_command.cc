#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>
#include <tuple>

#include "cli/commands.h"
#include "cli/kafka_client.h"
#include "cli/metrics_client.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t admin_port = 8090;
constexpr std::uint16_t kafka_port = 9092;
constexpr std::size_t streams_shown = 15;

// What the hub looks like at one moment.
struct Sample {
  Clock::time_point at;
  MetricsPage metrics;
  std::map<std::string, std::int64_t> ends;  // of a stream, over its partitions
};

class Sampler {
 public:
  static Result<Sampler> open(const Arguments& arguments) {
    SLUICE_TRY_ASSIGN(HostPort admin, find_hub(arguments, "admin", admin_port));
    Sampler sampler(std::move(admin));
    // A hub on a Kafka cluster has no Kafka listener: then there are no rows of streams.
    if (const auto kafka = find_hub(arguments, "kafka", kafka_port)) {
      SLUICE_TRY_ASSIGN(const Login login, login_of(arguments));
      SLUICE_TRY_ASSIGN(KafkaClient client, KafkaClient::open(*kafka, login));
      sampler.kafka_ = std::make_unique<KafkaClient>(std::move(client));
    }
    return sampler;
  }

  Result<Sample> take() {
    Sample sample{Clock::now(), {}, {}};
    SLUICE_TRY_ASSIGN(sample.metrics, fetch_metrics(admin_));
    if (!kafka_) return sample;
    SLUICE_TRY_ASSIGN(const auto streams, kafka_->streams());
    for (const StreamSummary& stream : streams)
      for (std::int32_t i = 0; i < stream.partitions; ++i)
        if (const auto marks = kafka_->watermarks(stream.name, i))
          sample.ends[stream.name] += marks->end;
    return sample;
  }

 private:
  // /metrics needs no login.
  explicit Sampler(HostPort admin) : admin_(std::move(admin), {}) {}

  AdminClient admin_;
  std::unique_ptr<KafkaClient> kafka_;
};

// What happened between two samples.
class Difference {
 public:
  Difference(const Sample& before, const Sample& now)
      : before_(before),
        now_(now),
        seconds_(std::chrono::duration<double>(now.at - before.at).count()) {}

  [[nodiscard]] std::string rate(std::string_view metric, std::string_view label = {}) const {
    return per_second(now_.metrics.sum(metric, label) - before_.metrics.sum(metric, label));
  }
  [[nodiscard]] double cpu_percent() const {
    constexpr std::string_view cpu = "process_cpu_seconds_total";
    return 100 * (now_.metrics.sum(cpu) - before_.metrics.sum(cpu)) / seconds_;
  }
  [[nodiscard]] std::vector<std::vector<std::string>> streams() const {
    struct Row {
      std::string name;
      std::int64_t end;
      std::int64_t added;
    };
    std::vector<Row> found;
    for (const auto& [name, end] : now_.ends) {
      const auto earlier = before_.ends.find(name);
      found.push_back({name, end, end - (earlier == before_.ends.end() ? 0 : earlier->second)});
    }
    std::ranges::sort(found, [](const Row& a, const Row& b) {
      return std::tie(b.added, a.name) < std::tie(a.added, b.name);
    });
    std::vector<std::vector<std::string>> rows{{"STREAM", "RECORDS/S", "RECORDS"}};
    for (const Row& row : found)
      if (rows.size() <= streams_shown)
        rows.push_back(
            {row.name, per_second(static_cast<double>(row.added)), std::to_string(row.end)});
    return rows;
  }

 private:
  [[nodiscard]] std::string per_second(double count) const {
    return fmt::format("{:.0f}", count / seconds_);
  }

  const Sample& before_;
  const Sample& now_;
  double seconds_;
};

std::string page(const Sample& before, const Sample& now) {
  const Difference difference(before, now);
  const MetricsPage& metrics = now.metrics;
  std::string out = fmt::format(
      "sluice   cpu {:.0f} %   memory {:.0f} MiB   files {:.0f}   log {:.1f} MiB\n\n",
      difference.cpu_percent(), metrics.sum("process_resident_memory_bytes") / (1 << 20),
      metrics.sum("process_open_fds"), metrics.sum("sluice_log_bytes") / (1 << 20));
  const std::vector<std::vector<std::string>> faces{
      {"", "CONNECTIONS", "IN/S", "OUT/S"},
      {"mqtt", fmt::format("{:.0f}", metrics.sum("sluice_connections", R"(protocol="mqtt")")),
       difference.rate("sluice_messages_received_total"),
       difference.rate("sluice_messages_delivered_total")},
      {"kafka (bytes)",
       fmt::format("{:.0f}", metrics.sum("sluice_connections", R"(protocol="kafka")")),
       difference.rate("sluice_kafka_received_bytes_total"),
       difference.rate("sluice_kafka_sent_bytes_total")}};
  out += format_table(faces);
  out += fmt::format(
      "\nsubscriptions {:.0f}   retained {:.0f}   dropped {}/s   lagging starts {}/s\n\n",
      metrics.sum("sluice_subscriptions"), metrics.sum("sluice_retained_entries"),
      difference.rate("sluice_messages_dropped_total"),
      difference.rate("sluice_subscriber_lags_total"));
  if (!now.ends.empty()) out += format_table(difference.streams());
  return out;
}

// Waits so long, unless the user wants to leave.
void wait(std::chrono::milliseconds duration) {
  const auto end = Clock::now() + duration;
  while (Clock::now() < end && !Interrupt::requested())
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

Result<void> top(const Arguments& arguments) {
  constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();
  constexpr std::string_view clear_screen = "\x1b[H\x1b[2J";
  SLUICE_TRY_ASSIGN(const auto interval, arguments.integer_or("interval", 1, 1, 3600));
  SLUICE_TRY_ASSIGN(const auto pages, arguments.integer_or("count", unlimited, 1, unlimited));
  SLUICE_TRY_ASSIGN(Sampler sampler, Sampler::open(arguments));
  const Interrupt interrupt;
  SLUICE_TRY_ASSIGN(Sample before, sampler.take());
  const bool on_terminal = isatty(STDOUT_FILENO) != 0;
  for (std::int64_t shown = 0; shown < pages; ++shown) {
    wait(std::chrono::seconds(interval));
    if (Interrupt::requested()) break;
    SLUICE_TRY_ASSIGN(Sample now, sampler.take());
    fmt::print("{}{}{}", on_terminal ? clear_screen : "", page(before, now),
               on_terminal ? "" : "\n");
    std::fflush(stdout);
    before = std::move(now);
  }
  return {};
}

}  // namespace

Command top_command() {
  return {"top",
          "",
          0,
          0,
          "Show what a hub is doing, each second",
          "Rates of messages, bytes and records, of connections and streams, until Ctrl-C. On a "
          "terminal each page replaces the one before.",
          with_login({{"interval", 'i', "SECONDS", "Between two pages; 1 unless given"},
                      {"count", 'n', "N", "End after N pages"},
                      address_flag("admin"),
                      address_flag("kafka"),
                      data_flag}),
          top};
}

}  // namespace sluice::cli
