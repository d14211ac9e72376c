#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <set>

#include "base/start_point.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/kafka_client.h"
#include "cli/output.h"

namespace sluice::cli {
namespace {

constexpr std::int64_t last_records_default = 10;
constexpr int poll_ms = 100;  // how long an interrupt may go unnoticed

std::int64_t wall_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string printable(std::string_view bytes) {
  return is_valid_utf8(bytes) ? std::string(bytes) : fmt::format("<{} bytes>", bytes.size());
}

std::string to_text(const TailedRecord& record) {
  std::string line =
      fmt::format("{}:{}  {}  {}", record.partition, record.offset,
                  record.has_key ? printable(record.key) : "-", printable(record.payload));
  for (const auto& [name, value] : record.headers)
    line += fmt::format("  {}={}", name, printable(value));
  return line;
}

std::string to_json_line(std::string_view stream, const TailedRecord& record) {
  JsonObject out;
  out.add("stream", stream).add("partition", record.partition).add("offset", record.offset);
  if (record.timestamp_ms >= 0) out.add("time", format_time(record.timestamp_ms));
  if (record.has_key) out.add_bytes("key", record.key);
  out.add_bytes("payload", record.payload);
  out.add_raw(
      "headers", json_array(record.headers, [](const auto& header) {
        return JsonObject().add("name", header.first).add_bytes("value", header.second).str();
      }));
  return out.str();
}

struct Plan {
  std::string stream;
  Output output = Output::table;
  bool follow = false;
  std::optional<StartPoint> from;  // none: the last `records`
  std::int64_t records = 0;

  // How many are printed in all.
  [[nodiscard]] std::int64_t limit() const {
    return from ? records : std::numeric_limits<std::int64_t>::max();
  }
};

Result<Plan> plan_from(const Arguments& arguments) {
  Plan plan;
  plan.stream = arguments.positional[0];
  plan.follow = arguments.has("follow");
  SLUICE_TRY_ASSIGN(plan.output, output_of(arguments));
  constexpr std::int64_t all = std::numeric_limits<std::int64_t>::max();
  if (const auto from = arguments.last("from")) {
    auto start = parse_start_point(*from, wall_ms());
    if (!start) return std::unexpected(start.error().context("--from"));
    plan.from = *start;
  }
  SLUICE_TRY_ASSIGN(plan.records,
                    arguments.integer_or("lines", plan.from ? all : last_records_default, 0, all));
  return plan;
}

Result<std::int64_t> start_of(KafkaClient& client, const Plan& plan, std::int32_t partition,
                              const Watermarks& marks) {
  if (!plan.from) return std::max(marks.start, marks.end - std::min(plan.records, marks.end));
  switch (plan.from->kind) {
    case StartPoint::Kind::earliest:
      return marks.start;
    case StartPoint::Kind::latest:
      return marks.end;
    case StartPoint::Kind::offset:
      return std::clamp(plan.from->value, marks.start, marks.end);
    case StartPoint::Kind::time:
      return client.offset_at(plan.stream, partition, plan.from->value);
  }
  return marks.end;
}

// Prints until the limit or an interrupt; without --follow until each of `open` has been read to
// its end.
Result<void> print_records(KafkaClient& client, const Plan& plan, std::set<std::int32_t> open) {
  const Interrupt interrupt;
  std::int64_t printed = 0;
  while (printed < plan.limit() && !open.empty() && !interrupt.requested()) {
    SLUICE_TRY_ASSIGN(const TailEvent event, client.next(poll_ms));
    if (event.kind == TailEvent::Kind::partition_end && !plan.follow)
      open.erase(event.record.partition);
    if (event.kind != TailEvent::Kind::record) continue;
    print_line(plan.output == Output::json ? to_json_line(plan.stream, event.record)
                                           : to_text(event.record));
    ++printed;
  }
  return {};
}

Result<void> tail(const Arguments& arguments) {
  SLUICE_TRY_ASSIGN(const Plan plan, plan_from(arguments));
  SLUICE_TRY_ASSIGN(KafkaClient client, open_kafka(arguments));
  SLUICE_TRY_ASSIGN(const StreamSummary stream, client.stream(plan.stream));

  std::vector<std::pair<std::int32_t, std::int64_t>> starts;
  std::set<std::int32_t> open;
  for (std::int32_t partition = 0; partition < stream.partitions; ++partition) {
    SLUICE_TRY_ASSIGN(const Watermarks marks, client.watermarks(plan.stream, partition));
    SLUICE_TRY_ASSIGN(const std::int64_t start, start_of(client, plan, partition, marks));
    if (start >= marks.end && !plan.follow) continue;
    starts.emplace_back(partition, start);
    open.insert(partition);
  }
  SLUICE_TRY(client.start_tail(plan.stream, starts));
  return print_records(client, plan, std::move(open));
}

}  // namespace

Command tail_command() {
  return {
      "tail",
      "STREAM",
      1,
      1,
      "Print a stream's records, as a Kafka consumer reads them",
      "Prints the last 10 records of each partition, or from --from on to the end. Each line is "
      "`partition:offset  key  payload  header=value...`.",
      with_login(
          {{"lines", 'n', "N",
            "The last N records of each partition; with --from: at most N records in all"},
           {"follow", 'f', "", "Go on with what is appended, until interrupted"},
           {"from", 0, "START",
            "earliest, latest, an offset, a time (2024-05-01T12:00:00Z) or how long ago (10m)"},
           address_flag("kafka"),
           data_flag,
           output_flag}),
      tail};
}

}  // namespace sluice::cli
