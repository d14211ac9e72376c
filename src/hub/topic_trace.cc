#include "hub/topic_trace.h"

#include <optional>
#include <utility>
#include <vector>

#include "runtime/ask.h"

namespace sluice::hub {

// The records of one block that a trace shows. Holds what it needs, since answers of other shards
// may come when the trace is over.
struct TopicTrace::Portion {
  struct Shown {
    std::uint32_t record;
    std::size_t subscribers = 0;
  };

  void count_on(const Hub& hub, std::vector<std::size_t>& counts) const {
    for (const Shown& one : shown)
      counts.push_back(hub.count_matching(partition, *block, one.record));
  }
  void add(const std::vector<std::size_t>& counts) {
    for (std::size_t i = 0; i < shown.size(); ++i) shown[i].subscribers += counts[i];
  }
  void emit(const Hub& hub, bool counted) const;

  trace::TraceId trace;
  Partition partition;
  std::string prefix;
  log::BlockRef block;
  std::vector<Shown> shown{};
  std::uint32_t open = 0;  // shards that have not answered
};

void TopicTrace::Portion::emit(const Hub& hub, bool counted) const {
  for (const auto& [index, subscribers] : shown) {
    const log::Record& record = block->records()[index];
    const std::string topic = prefix + std::string(as_text(block->key(record)));
    const trace::Subject subject{.topic = topic, .payload = block->value(record), .only = trace};
    hub.tracer().emit("message", subject, [&](JsonObject& line) {
      const bool from_mqtt = (record.flags & log::Record::has_packed) != 0;
      hub.trace_place(partition, block->from() + record.offset_delta, line);
      line.add("from", from_mqtt ? "mqtt" : "kafka");
      if (from_mqtt) line.add("qos", record.flags & log::Record::qos_mask);
      if ((record.flags & log::Record::retain) != 0) line.add("retain", true);
      if (counted) line.add("subscribers", subscribers);
    });
  }
}

TopicTrace::TopicTrace(Group& group, ShardId shard, trace::TraceId trace, const std::string& filter,
                       Done<void> ready)
    : group_(group), shard_(shard), trace_(trace) {
  Hub& hub = group_.hub(shard_);
  handle_ = hub.add_subscriber(*this, 0);
  hub.subscribe(handle_, filter, {}, std::move(ready));
}

TopicTrace::~TopicTrace() { group_.hub(shard_).remove_subscriber(handle_); }

std::size_t TopicTrace::on_records(const DeliveryBatch& batch) {
  auto portion = std::make_shared<Portion>(Portion{.trace = trace_,
                                                   .partition = batch.partition,
                                                   .prefix = std::string(batch.prefix),
                                                   .block = batch.block});
  for (const auto& [first, count, grant] : batch.deliveries)
    for (std::uint32_t i = first; i < first + count; ++i) portion->shown.push_back({i});
  if (*counting_ < portions_max)
    count(portion);
  else
    portion->emit(group_.hub(shard_), false);
  return count_records(batch.deliveries);
}

void TopicTrace::count(const std::shared_ptr<Portion>& portion) {
  portion->open = group_.size();
  ++*counting_;
  for (std::uint32_t i = 0; i < group_.size(); ++i) {
    auto counts = std::make_shared<std::vector<std::size_t>>();
    runtime::ask(
        group_.mailboxes(), shard_, ShardId{i},
        [&hub = group_.hub(ShardId{i}), portion, counts](Task reply) {
          portion->count_on(hub, *counts);
          reply();
        },
        [&hub = group_.hub(shard_), portion, counts, counting = counting_] {
          portion->add(*counts);
          if (--portion->open > 0) return;
          --*counting;
          portion->emit(hub, true);
        });
  }
}

}  // namespace sluice::hub
