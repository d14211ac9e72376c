#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/listeners.h"
#include "cli/login.h"

namespace sluice::cli {

struct StreamSummary {
  std::string name;
  std::int32_t partitions = 0;
};

struct StreamSetting {
  std::string name;
  std::string value;
  bool is_default = false;
};

// Offsets of a partition: [start, end).
struct Watermarks {
  std::int64_t start = 0;
  std::int64_t end = 0;
};

// A record on its way to the screen.
struct TailedRecord {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = -1;
  bool has_key = false;
  std::string key;
  std::string payload;
  std::vector<std::pair<std::string, std::string>> headers;
};

// What a read of the next record gives: one record, the end of a partition for now, or nothing
// within the time.
struct TailEvent {
  enum class Kind : std::uint8_t { nothing, record, partition_end } kind = Kind::nothing;
  TailedRecord record;
};

struct GroupMember {
  std::string id;
  std::string instance_id;  // empty: not a static member
  std::string client_id;
  std::string host;
  std::vector<std::pair<std::string, std::int32_t>> partitions;  // of which stream
};

struct GroupSummary {
  std::string name;
  std::string state;  // "Stable", "Empty", "Dead": there is none of that name
  std::string assignor;
  std::vector<GroupMember> members;
};

struct GroupOffset {
  std::string stream;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
};

std::unexpected<Error> kafka_error(std::string_view what, rd_kafka_resp_err_t code,
                                   std::string_view text = {});

// What the commands need of a hub's Kafka listener, by librdkafka. Calls block, for at most some
// seconds.
class KafkaClient {
 public:
  // Errors: unauthorized, the hub refuses the login; io.
  static Result<KafkaClient> open(const HostPort& address, const Login& login = {});

  Result<std::vector<StreamSummary>> streams();
  Result<StreamSummary> stream(std::string_view name);  // not_found with the nearest name
  Result<void> create(const std::string& name, std::int32_t partitions,
                      std::span<const std::pair<std::string, std::string>> settings);
  Result<void> remove(const std::string& name);
  Result<std::vector<StreamSetting>> settings(const std::string& name);
  Result<Watermarks> watermarks(const std::string& name, std::int32_t partition);
  // The first offset whose record is not older than `when_ms`; the end if there is none.
  Result<std::int64_t> offset_at(const std::string& name, std::int32_t partition,
                                 std::int64_t when_ms);

  // kafka_client_groups.cc: consumer groups
  Result<std::vector<GroupSummary>> groups();
  Result<GroupSummary> group(const std::string& name);  // not_found with the nearest name
  Result<std::vector<GroupOffset>> group_offsets(const std::string& group);
  Result<void> set_group_offsets(const std::string& group, std::span<const GroupOffset> offsets);

  // Reads partitions of one stream, from the offsets given, as one sequence.
  Result<void> start_tail(const std::string& name,
                          std::span<const std::pair<std::int32_t, std::int64_t>> starts);
  Result<TailEvent> next(int timeout_ms);

 private:
  template <auto destroy>
  struct Deleter {
    template <class T>
    void operator()(T* object) const {
      destroy(object);
    }
  };
  template <class T, auto destroy>
  using Handle = std::unique_ptr<T, Deleter<destroy>>;
  using Event = Handle<rd_kafka_event_t, rd_kafka_event_destroy>;

  // The newest trouble with a connection, as librdkafka tells it within rd_kafka_poll.
  struct Trouble {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string text;
  };

  KafkaClient(rd_kafka_t* client, std::unique_ptr<Trouble> trouble);
  // Waits for a first answer. librdkafka would try again for ever; a login or certificate that is
  // refused, or a connection that the hub ends, is an error here at once.
  Result<void> reach(const HostPort& address, const Login& login);
  // The answer to an admin request whose result goes to `queue_`.
  Result<Event> wait_for(std::string_view what);
  Result<std::vector<std::string>> group_names();
  Result<std::vector<GroupSummary>> describe_groups(const std::vector<std::string>& names);

  // In this order: the queues and the topic go before the client, and that before its opaque.
  std::unique_ptr<Trouble> trouble_;
  Handle<rd_kafka_t, rd_kafka_destroy> client_;
  Handle<rd_kafka_queue_t, rd_kafka_queue_destroy> queue_;
  Handle<rd_kafka_topic_t, rd_kafka_topic_destroy> tailed_;
};

// A client of the hub that a command's flags name, logged in as they say.
Result<KafkaClient> open_kafka(const Arguments& arguments);

}  // namespace sluice::cli
