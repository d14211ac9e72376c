// What traces and administrators are told of subscribers. Nothing here runs for messages while no
// trace is on.
#include <algorithm>
#include <utility>

#include "hub/distributor.h"

namespace sluice::hub {

SubscriberState Distributor::describe(Handle handle) {
  SubscriberState state;
  const Subscriber* subscriber = subscriptions_.find(handle);
  if (!subscriber) return state;
  for (const Filter& filter : subscriber->filters)
    if (!filter.text.empty()) state.subscriptions.push_back({filter.text, filter.options});
  if (!subscriber->lag) return state;
  state.takes_no_more = subscriber->lag->blocked;
  state.waits_for_retained = !subscriber->lag->snapshots.empty();
  for (const Lag::At& at : subscriber->lag->at)
    if (const Source* source = find(at.partition))
      state.behind.push_back(
          {source->stream, at.partition.index, next_of(*source, *subscriber, at), source->next});
  return state;
}

// May run within hand_out(), so what was matched is not forgotten here.
std::size_t Distributor::count_matching(Partition partition, const log::Block& block,
                                        const log::Record& record) {
  const Source* source = find(partition);
  if (!source || record.key_at == log::Record::none) return 0;
  const Matched& matched = match(*source, block, record);
  const auto count = std::ranges::count_if(matched.targets, [this](const Target& target) {
    const Subscriber& subscriber = subscriptions_.at(target.subscriber);
    return subscriber.session != 0 || !subscriber.sink->who().client.empty();
  });
  return static_cast<std::size_t>(count);
}

// Of each record: which subscribers have a filter that matches and do not get it now, and why. Who
// gets it is told by the sinks, which know the packet.
void Distributor::trace_block(const Source& source, const log::Block& block, const Sweep* sweep) {
  for (const log::Record& record : block.records()) {
    if (record.key_at == log::Record::none) continue;
    for (const Target& target : match(source, block, record).targets)
      trace_target(source, block, record, target, sweep);
  }
}

void Distributor::trace_target(const Source& source, const log::Block& block,
                               const log::Record& record, const Target& target,
                               const Sweep* sweep) {
  const Subscriber& subscriber = subscriptions_.at(target.subscriber);
  const Offset offset = block.from() + record.offset_delta;
  const Lag::At* lag = subscriber.lag ? subscriber.lag->find(source.partition) : nullptr;
  const bool waits = !sweep && lag && offset >= source.next;
  const bool is_refused =
      is_due(source, subscriber, offset, sweep) && !narrow(source, block, record, target, sweep);
  if (!waits && !is_refused) return;
  const bool is_own = target.no_local && publisher_of(block, record) == subscriber.session;
  const trace::Who who = subscriber.sink->who();
  if (who.client.empty()) return;
  const std::string topic = source.prefix + std::string(as_text(block.key(record)));
  const trace::Subject subject{.client = who.client, .peer = who.peer, .topic = topic};
  tracer_.emit(waits ? "delayed" : "not_delivered", subject, [&](JsonObject& line) {
    line.add("stream", source.stream)
        .add("partition", source.partition.index)
        .add("offset", offset.value);
    if (!waits)
      line.add("reason", is_own ? "no_local" : "subscribed_later");
    else
      line.add("reason", lag->stop == Lag::no_stop ? "lagging" : "retained_first")
          .add("behind", offset - next_of(source, subscriber, *lag));
  });
}

// A subscriber leaves the tail of a partition, is there again, or goes on elsewhere.
void Distributor::trace_position(std::string_view event, const Source& source,
                                 const Subscriber& subscriber, Offset next) {
  const trace::Who who = subscriber.sink->who();
  if (who.client.empty()) return;
  const trace::Subject subject{.client = who.client, .peer = who.peer};
  tracer_.emit(event, subject, [&](JsonObject& line) {
    line.add("stream", source.stream)
        .add("partition", source.partition.index)
        .add("offset", next.value);
    if (!subscriber.lag) return;
    if (subscriber.lag->blocked)
      line.add("reason", "takes_no_more");
    else
      line.add("reason", subscriber.lag->snapshots.empty() ? "starts_earlier" : "retained_first");
  });
}

}  // namespace sluice::hub
