#pragma once

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "kafka_stream/options.h"

namespace sluice::kafka_stream {

// Longest time that a helper thread waits for one answer of the cluster.
constexpr std::chrono::milliseconds request_timeout{3000};

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* object) const {
    destroy(object);
  }
};

using Client = std::unique_ptr<rd_kafka_t, Destroy<rd_kafka_destroy>>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy<rd_kafka_queue_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Destroy<rd_kafka_event_destroy>>;
using Message = std::unique_ptr<rd_kafka_message_t, Destroy<rd_kafka_message_destroy>>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                      Destroy<rd_kafka_topic_partition_list_destroy>>;

using Properties = std::vector<std::pair<std::string, std::string>>;

// A librdkafka instance: threads of its own, one per broker it talks to, and some more. What it
// logs goes to our log. Errors: invalid, which name the property.
Result<Client> make_producer(const Options& options, const Properties& properties);
Result<Client> make_consumer(const Options& options, const Properties& properties);

// Null on failure: the caller says what the last error was.
Topic make_topic(rd_kafka_t* client, const std::string& name);

// What stands for an answer of the cluster; `what` names the thing at fault.
Error error_of(rd_kafka_resp_err_t code, std::string_view what);

inline int milliseconds(std::chrono::milliseconds duration) {
  return static_cast<int>(duration.count());
}

}  // namespace sluice::kafka_stream
