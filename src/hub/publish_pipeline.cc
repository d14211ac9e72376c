#include "hub/publish_pipeline.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "hub/hub.h"

namespace sluice::hub {

namespace {

// Bytes that a record and its batch add to key, value and headers, at most.
constexpr std::size_t record_overhead_max = log::batch_header_size + 64;
// Batches kept for reuse; beyond, a turn that touched many partitions gives them back.
constexpr std::size_t idle_batches_max = 16;

}  // namespace

PublishPipeline::PublishPipeline(runtime::Loop& loop, stream::Stream& stream, const Router& router,
                                 Metrics& metrics, trace::Tracer& tracer, std::size_t batch_max,
                                 std::size_t pending_max)
    : loop_(loop),
      stream_(stream),
      router_(router),
      tracer_(tracer),
      not_stored_(metrics.counter("sluice_publish_failures_total",
                                  "Messages taken from publishers that the log then refused")),
      batch_max_(batch_max),
      pending_max_(pending_max),
      generations_(1) {}

Result<void> PublishPipeline::publish(Handle publisher, std::uint64_t sequence, const Route& route,
                                      const Message& message) {
  if (!has_room()) return fail(Errc::busy, "{} bytes are on their way to the log", pending_bytes_);
  const std::uint32_t headers_count = encode_headers(message, headers_);
  const Bytes key = as_bytes(message.topic).subspan(route.key_at);
  const std::size_t size = key.size() + message.payload.size() + headers_.size();
  const auto batch_max = static_cast<std::size_t>(route.batch_max);
  if (size + record_overhead_max > batch_max)
    return fail(Errc::too_large, "a message of {} bytes is larger than the stream takes ({})", size,
                batch_max);

  OpenBatch* batch = &open_batch(route.partition);
  if (!batch->builder.empty() &&
      batch->builder.size() + size + record_overhead_max > std::min(batch_max, batch_max_)) {
    close(*batch);
  }
  std::uint8_t flags = log::Record::has_packed | message.qos;
  if (message.retain) flags |= log::Record::retain;
  if (headers_count > 1 || message.expiry_s) flags |= log::Record::has_properties;
  batch->builder.add(loop_.wall_ms(), {.key = key,
                                       .value = message.payload,
                                       .headers = headers_,
                                       .headers_count = headers_count,
                                       .flags = flags,
                                       .key_hash = route.key_hash});
  batch->pending += size;
  pending_bytes_ += size;
  if (message.qos > 0) note(publisher, sequence, *batch);
  return {};
}

PublishPipeline::OpenBatch& PublishPipeline::open_batch(Partition partition) {
  if (partition == last_partition_ && last_batch_ < batches_.size()) return batches_[last_batch_];
  const auto [place, added] = batch_of_.try_emplace(partition, batches_.size());
  if (added) batches_.push_back({.partition = partition, .builder = {}, .runs = {}, .pending = 0});
  last_partition_ = partition;
  last_batch_ = place->second;
  return batches_[last_batch_];
}

void PublishPipeline::note(Handle handle, std::uint64_t sequence, OpenBatch& batch) {
  Publisher* publisher = publishers_.find(handle);
  SLUICE_ASSERT(publisher);
  if (!batch.runs.empty() && batch.runs.back().publisher == handle &&
      batch.runs.back().last + 1 == sequence) {
    batch.runs.back().last = sequence;
  } else {
    batch.runs.push_back({handle, sequence, sequence});
  }
  const std::uint64_t current = current_generation();
  auto& reached = generations_.back().reached;
  if (publisher->generation == current) {
    reached[publisher->reached_at].sequence = sequence;
  } else {
    publisher->generation = current;
    publisher->reached_at = reached.size();
    reached.push_back({handle, sequence});
  }
}

void PublishPipeline::end_turn() {
  for (OpenBatch& batch : batches_)
    if (!batch.builder.empty()) close(batch);
  if (generations_.back().batches > 0) generations_.emplace_back();
  if (batches_.size() > idle_batches_max) {
    batches_.clear();
    batch_of_.clear();
  }
}

void PublishPipeline::close(OpenBatch& batch) {
  auto appending = std::make_shared<Appending>(
      Appending{batch.partition, batch.builder.finish(), std::exchange(batch.runs, {}),
                std::exchange(batch.pending, 0), current_generation()});
  ++generations_.back().batches;
  if (!waiting_.empty() || !append(appending)) {
    waiting_.push_back(std::move(appending));
    if (waiting_.size() == 1)
      stream_.on_room(waiting_.front()->partition, [this] { retry_waiting(); });
  }
}

// False: the stream is full and has taken nothing. What it answers within the call is acted on in
// the next turn, so that no publisher is called back in the middle of its own publish().
bool PublishPipeline::append(const std::shared_ptr<Appending>& appending) {
  in_append_ = true;
  early_.reset();
  stream_.append(appending->partition, appending->block,
                 [this, appending](Result<stream::Appended> result) {
                   if (in_append_)
                     early_ = std::move(result);
                   else
                     on_answer(*appending, result);
                 });
  in_append_ = false;
  if (!early_) return true;
  if (!*early_ && early_->error().code == Errc::busy) return false;
  loop_.post([this, appending, result = std::move(*early_)] { on_answer(*appending, result); });
  return true;
}

void PublishPipeline::on_answer(const Appending& appending,
                                const Result<stream::Appended>& result) {
  if (tracer_.active()) trace_answer(appending, result);
  if (!result) {
    not_stored_.add(appending.block->records().size());
    fail_runs(appending.runs, result.error());
  }
  pending_bytes_ -= appending.pending;
  --generations_[appending.generation - first_generation_].batches;
  finish_generations();
  if (!room_waiters_.empty() && has_room()) tell_room();
}

void PublishPipeline::trace_answer(const Appending& appending,
                                   const Result<stream::Appended>& result) {
  const auto* stream = stream_.catalogue().find(appending.partition.stream);
  if (stream == nullptr) return;
  const std::string prefix = router_.prefix_of(*stream);
  const log::Block& block = *appending.block;
  for (const log::Record& record : block.records()) {
    const trace::Who who = tracer_.publisher(publisher_of(block, record));
    const std::string topic = prefix + std::string(as_text(block.key(record)));
    const trace::Subject subject{.client = who.client, .peer = who.peer, .topic = topic};
    tracer_.emit(result ? "stored" : "not_stored", subject, [&](JsonObject& line) {
      line.add("stream", stream->name).add("partition", appending.partition.index);
      if (result)
        line.add("offset", (result->first + record.offset_delta).value);
      else
        line.add("text", result.error().text);
    });
  }
}

// In order: what is appended to a partition must not overtake what waits for it.
void PublishPipeline::retry_waiting() {
  while (!waiting_.empty() && append(waiting_.front())) waiting_.pop_front();
  if (!waiting_.empty())
    stream_.on_room(waiting_.front()->partition, [this] { retry_waiting(); });
  else if (!room_waiters_.empty() && has_room())
    tell_room();
}

void PublishPipeline::fail_runs(const std::vector<Run>& runs, const Error& error) {
  for (const Run& run : runs)
    for (std::uint64_t sequence = run.first; sequence <= run.last; ++sequence)
      if (Publisher* publisher = publishers_.find(run.publisher))
        publisher->sink->on_publish_failed(sequence, error);
}

void PublishPipeline::finish_generations() {
  while (generations_.size() > 1 && generations_.front().batches == 0) {
    const auto reached = std::move(generations_.front().reached);
    generations_.pop_front();
    ++first_generation_;
    for (const auto& [handle, sequence] : reached)
      if (Publisher* publisher = publishers_.find(handle)) publisher->sink->on_published(sequence);
  }
  if (!waiters_.empty()) run_waiters();
}

// Nothing of this turn is on its way.
bool PublishPipeline::is_current_empty() const {
  return generations_.back().batches == 0 &&
         std::ranges::all_of(batches_,
                             [](const OpenBatch& batch) { return batch.builder.empty(); });
}

void PublishPipeline::when_published(Task task) {
  const std::uint64_t last = current_generation() - (is_current_empty() ? 1 : 0);
  if (last < first_generation_) return task();
  waiters_.emplace_back(last, std::move(task));
}

void PublishPipeline::run_waiters() {
  while (!waiters_.empty() && waiters_.front().first < first_generation_) {
    Task task = std::move(waiters_.front().second);
    waiters_.pop_front();
    task();
  }
}

void PublishPipeline::tell_room() {
  for (const Handle handle : std::exchange(room_waiters_, {}))
    if (Publisher* publisher = publishers_.find(handle)) publisher->sink->on_room();
}

}  // namespace sluice::hub
