#include "server/trace_api.h"

#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/logger.h"
#include "hub/topic_trace.h"

namespace sluice::server {

namespace {

constexpr Logger logger("admin");
constexpr ShardId home{0};

// One trace on its way to one HTTP client. Its life is the connection's.
class TraceStream final : public http::Streamer, public std::enable_shared_from_this<TraceStream> {
 public:
  TraceStream(runtime::Loop& loop, hub::Group& group, trace::Query query, std::int64_t seconds)
      : loop_(loop), group_(group), query_(std::move(query)), seconds_(seconds) {}
  ~TraceStream() override { stop(); }

  // Errc::busy: too many are on.
  Result<void> start() {
    const std::weak_ptr weak = weak_from_this();
    auto sink = [weak](std::string lines, Task taken) {
      if (const auto self = weak.lock()) return self->add(std::move(lines), std::move(taken));
      taken();
    };
    auto started = [weak, &loop = loop_] {
      // In a turn of its own: a single shard has answered before start() returns.
      loop.post([weak] {
        if (const auto self = weak.lock()) self->on_started();
      });
    };
    SLUICE_TRY_ASSIGN(id_, group_.traces().start(query_, std::move(sink), std::move(started)));
    timer_ = loop_.run_after(std::chrono::seconds(seconds_), [weak] {
      if (const auto self = weak.lock()) self->on_time_over();
    });
    return {};
  }

  void on_open(http::Stream stream) override {
    stream_ = std::move(stream);
    pump();
  }
  void on_room() override { pump(); }

 private:
  struct Portion {
    std::string lines;
    Task taken;
  };

  void on_started() {
    if (query_.by != trace::Query::By::topic || !id_) return say_started();
    topic_.emplace(group_, home, *id_, query_.value,
                   [weak = weak_from_this()](const Result<void>&) {
                     if (const auto self = weak.lock()) self->say_started();
                   });
  }

  void say_started() {
    JsonObject line = begin("tracing");
    line.add("by", to_string(query_.by)).add("value", query_.value).add("seconds", seconds_);
    add(line.str() + '\n', [] {});
  }

  // A reader that is behind now misses what it has not taken.
  void on_time_over() {
    timer_ = runtime::TimerId::none;
    stop();
    stream_.end(begin("end").add("reason", "time_over").str() + '\n');
  }

  JsonObject begin(std::string_view event) {
    JsonObject line;
    line.add("ts_ms", loop_.wall_ms()).add("event", event);
    return line;
  }

  void add(std::string lines, Task taken) {
    waiting_.push_back({std::move(lines), std::move(taken)});
    pump();
  }

  // What the stream has no room for stays: at most one portion of each shard, and our own words.
  void pump() {
    while (!waiting_.empty() && stream_.write(waiting_.front().lines)) take_first();
  }

  void take_first() {
    auto taken = std::move(waiting_.front().taken);
    waiting_.pop_front();
    taken();
  }

  void stop() {
    loop_.cancel(std::exchange(timer_, runtime::TimerId::none));
    topic_.reset();
    // Whoever has sent something waits for an answer (runtime/mailbox.h).
    while (!waiting_.empty()) take_first();
    if (!id_) return;
    logger.info("trace ended", {{"by", to_string(query_.by)}, {"value", query_.value}});
    group_.traces().stop(*std::exchange(id_, std::nullopt));
  }

  runtime::Loop& loop_;
  hub::Group& group_;
  trace::Query query_;
  std::int64_t seconds_;
  std::optional<trace::TraceId> id_;
  std::optional<hub::TopicTrace> topic_;  // of a trace by topic
  runtime::TimerId timer_ = runtime::TimerId::none;
  http::Stream stream_;  // takes nothing before on_open()
  std::deque<Portion> waiting_;
};

Result<trace::Query> query_of(const http::Query& query) {
  using By = trace::Query::By;
  std::optional<trace::Query> found;
  for (const By by : {By::client, By::topic, By::ip}) {
    const auto value = query.find(to_string(by));
    if (value == query.end()) continue;
    if (found) return fail(Errc::invalid, "one of client, topic and ip, not two");
    found = {.by = by, .value = value->second};
  }
  if (!found) return fail(Errc::invalid, "client, topic or ip is missing");
  SLUICE_TRY_ASSIGN(const auto payload, number_in(query, "payload", 0, 0, TraceApi::payload_max));
  found->payload_max = static_cast<std::size_t>(payload);
  return trace::checked(std::move(*found));
}

}  // namespace

void TraceApi::add_to(Api& api) {
  api.add({"GET", "/api/v1/trace", [this](ApiCall call) { start(std::move(call)); }});
}

void TraceApi::start(ApiCall call) {
  if (auto valid = check_names(call.query, {"client", "topic", "ip", "payload", "seconds"}); !valid)
    return call.respond(error_response(valid.error()));
  const auto seconds = number_in(call.query, "seconds", seconds_default, 1, seconds_max);
  if (!seconds) return call.respond(error_response(seconds.error()));
  auto query = query_of(call.query);
  if (!query) return call.respond(error_response(query.error()));
  const auto stream = std::make_shared<TraceStream>(loop_, group_, *query, *seconds);
  if (auto started = stream->start(); !started)
    return call.respond(error_response(started.error()));
  logger.info("trace started", {{"by", to_string(query->by)},
                                {"value", query->value},
                                {"user", call.user},
                                {"payload_bytes", query->payload_max}});
  http::Response response;
  response.content_type = "application/x-ndjson";
  response.headers.emplace_back("Cache-Control", "no-store");
  response.streamer = stream;
  call.respond(std::move(response));
}

}  // namespace sluice::server
