#include "trace/tracer.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "topic/topic.h"

namespace sluice::trace {

namespace {

// "127.0.0.1:1883" and "[::1]:1883" without what is not the address.
std::string_view host_of(std::string_view peer) {
  if (peer.starts_with('[')) return peer.substr(1, peer.find(']') - 1);
  return peer.substr(0, peer.rfind(':'));
}

bool fits(const Query& query, const Subject& subject) {
  switch (query.by) {
    case Query::By::client:
      return subject.client == query.value;
    case Query::By::topic:
      return !subject.topic.empty() && topic::matches(query.value, subject.topic);
    case Query::By::ip:
      return host_of(subject.peer) == query.value;
  }
  return false;
}

// The first bytes of a payload, without half a character at their end.
std::string_view beginning(Bytes payload, std::size_t size_max) {
  std::string_view text = as_text(payload);
  if (text.size() <= size_max) return text;
  text = text.substr(0, size_max);
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  std::size_t end = text.size();
  while (end > 0 && text.size() - end < 3 && continues(text[end - 1])) --end;
  if (end > 0 && static_cast<unsigned char>(text[end - 1]) >= 0xc0) return text.substr(0, end - 1);
  return text;
}

}  // namespace

std::string_view to_string(Query::By by) {
  switch (by) {
    case Query::By::client:
      return "client";
    case Query::By::topic:
      return "topic";
    case Query::By::ip:
      return "ip";
  }
  return "";
}

Result<Query> checked(Query query) {
  if (query.value.empty()) return fail(Errc::invalid, "the {} is empty", to_string(query.by));
  if (query.by == Query::By::topic) {
    if (topic::is_shared(query.value))
      return fail(Errc::invalid,
                  "a topic is traced for all: leave out $share or $queue, and the name");
    if (topic::is_replay(query.value))
      return fail(Errc::invalid, "a topic is traced for all: name those that the replay gives");
    if (auto valid = topic::validate_filter(query.value); !valid)
      return std::unexpected(valid.error().context("topic"));
  }
  if (query.by == Query::By::ip && query.value.starts_with('['))
    query.value = std::string(host_of(query.value));
  return query;
}

Tracer::Tracer(runtime::Loop& loop, ShardId shard, Send send)
    : loop_(loop), shard_(shard), send_(std::move(send)) {}

void Tracer::start(TraceId id, Query query) {
  SLUICE_ASSERT(traces_.size() < traces_max);
  asks_for_peers_ = asks_for_peers_ || query.by == Query::By::ip;
  traces_.push_back({.id = id, .query = std::move(query)});
}

void Tracer::stop(TraceId id) {
  std::erase_if(traces_, [id](const Trace& trace) { return trace.id == id; });
  asks_for_peers_ = std::ranges::any_of(
      traces_, [](const Trace& trace) { return trace.query.by == Query::By::ip; });
  if (traces_.empty()) publishers_.clear();
}

void Tracer::note_publisher(std::uint64_t session, const Who& who) {
  if (publishers_.size() < publishers_max || publishers_.contains(session))
    publishers_[session] = who;
}

Who Tracer::publisher(std::uint64_t session) const {
  const auto found = publishers_.find(session);
  return found == publishers_.end() ? Who{} : found->second;
}

Tracer::Selection Tracer::select(const Subject& subject) const {
  unsigned selection = 0;
  for (std::size_t i = 0; i < traces_.size(); ++i)
    if ((subject.only == 0 || subject.only == traces_[i].id) && fits(traces_[i].query, subject))
      selection |= 1u << i;
  return static_cast<Selection>(selection);
}

JsonObject Tracer::begin(std::string_view event, const Subject& subject) const {
  JsonObject line;
  line.add("ts_ms", loop_.wall_ms()).add("shard", shard_.value).add("event", event);
  if (!subject.client.empty()) line.add("client", subject.client);
  if (!subject.peer.empty()) line.add("peer", subject.peer);
  if (!subject.topic.empty()) line.add("topic", subject.topic);
  if (subject.payload) line.add("payload_size", subject.payload->size());
  return line;
}

void Tracer::add(Selection selection, const JsonObject& line, const Subject& subject) {
  for (std::size_t i = 0; i < traces_.size(); ++i) {
    if ((selection >> i & 1) == 0) continue;
    Trace& trace = traces_[i];
    if (!subject.payload || trace.query.payload_max == 0) {
      append(trace, line.str());
      continue;
    }
    JsonObject with_payload = line;
    with_payload.add_bytes("payload", beginning(*subject.payload, trace.query.payload_max));
    append(trace, with_payload.str());
  }
}

void Tracer::append(Trace& trace, const std::string& line) {
  if (trace.lines.size() + line.size() + 1 > buffer_max)
    ++trace.dropped;
  else
    trace.lines.append(line) += '\n';
  if (std::exchange(trace.sending, true)) return;
  loop_.post([this, id = trace.id] { send(id); });
}

Tracer::Trace* Tracer::find(TraceId id) {
  const auto found = std::ranges::find(traces_, id, &Trace::id);
  return found == traces_.end() ? nullptr : &*found;
}

// What there is; again when that was taken, and nothing when there is nothing.
void Tracer::send(TraceId id) {
  Trace* trace = find(id);
  if (trace == nullptr) return;
  trace->sending = !trace->lines.empty() || trace->dropped > 0;
  if (!trace->sending) return;
  std::string lines = std::exchange(trace->lines, {});
  if (const auto dropped = std::exchange(trace->dropped, 0); dropped > 0)
    lines += begin("dropped", {}).add("count", dropped).str() + '\n';
  send_(id, std::move(lines), [this, id] { loop_.post([this, id] { send(id); }); });
}

}  // namespace sluice::trace
