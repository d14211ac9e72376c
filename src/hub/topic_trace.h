#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "hub/hub.h"

namespace sluice::hub {

// Shows a trace every message of the topics that a filter covers, whether it came by MQTT or
// Kafka, and how many subscribers match it on all shards: itself a subscriber, but nobody's.
// Covered are the streams that a subscription of that filter would cover.
//
// Shard: the one given. Bound: counts of portions_max blocks may be on their way; beyond, messages
// are shown without them. The trace itself bounds what is shown.
class TopicTrace final : public SubscriberSink {
 public:
  static constexpr std::size_t portions_max = 16;

  // From `ready` on nothing that is published is missed.
  TopicTrace(Group& group, ShardId shard, trace::TraceId trace, const std::string& filter,
             Done<void> ready);
  ~TopicTrace();
  TopicTrace(const TopicTrace&) = delete;
  TopicTrace& operator=(const TopicTrace&) = delete;

  std::size_t on_records(const DeliveryBatch& batch) override;

 private:
  struct Portion;
  void count(const std::shared_ptr<Portion>& portion);

  Group& group_;
  ShardId shard_;
  trace::TraceId trace_;
  Handle handle_;
  std::shared_ptr<std::size_t> counting_ = std::make_shared<std::size_t>(0);  // portions
};

}  // namespace sluice::hub
