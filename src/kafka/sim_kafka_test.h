#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "kafka/coordinator.h"
#include "kafka/messages.h"
#include "kafka/server.h"
#include "log/record_batch.h"
#include "stream/sim_backend_test.h"
#include "table/memory_store_test.h"

namespace sluice::kafka {

// A client that writes whatever bytes it is told to, and requests in any version.
class SimKafkaClient {
 public:
  SimKafkaClient(sim::SimWorld& world, const runtime::Endpoint& server) : world_(world) {
    auto connected = world.connect(server);
    SLUICE_ASSERT(connected);
    socket_ = std::move(*connected);
  }

  void send_bytes(Bytes bytes) { socket_->send(bytes); }

  template <class Request>
  void send(ApiKey key, std::int16_t version, Request request) {
    const Api& api = *find_api(key);
    Frame frame;
    Writer writer(frame.bytes);
    writer.write<std::int32_t>(0);
    writer.write<std::int16_t>(static_cast<std::int16_t>(key));
    writer.write<std::int16_t>(version);
    writer.write<std::int32_t>(next_correlation_id_++);
    writer.write<std::int16_t>(-1);  // no client id
    if (api.flexible(version)) writer.write_uvarint(0);
    Encoder(frame, version, api.flexible(version)).message(request);
    writer.patch<std::int32_t>(0, static_cast<std::int32_t>(frame.size() - frame_size_bytes));
    SLUICE_ASSERT(frame.splices.empty());
    send_bytes(frame.bytes);
  }

  // The next response, which must be that to the oldest request without one. The bytes that it
  // points into stay until the next call.
  template <class Response>
  Response receive(ApiKey key, std::int16_t version) {
    SLUICE_ASSERT(world_.run_until([&] { return has_response() || socket_->ended(); }));
    SLUICE_ASSERT(has_response());
    const auto frame = next_frame(socket_->received(), 64 << 20);
    response_ = {};
    append(response_, **frame);
    socket_->take(frame_size_bytes + response_.size());

    const Api& api = *find_api(key);
    Reader header(response_);
    SLUICE_ASSERT(header.read<std::int32_t>() == next_answered_++);
    if (api.flexible(version) && key != ApiKey::api_versions) skip_tagged_fields(header);
    auto response = Decoder(header.rest(), version, api.flexible(version)).message<Response>();
    SLUICE_ASSERT(response);
    return std::move(*response);
  }

  template <class Response, class Request>
  Response call(ApiKey key, std::int16_t version, Request request) {
    send(key, version, std::move(request));
    return receive<Response>(key, version);
  }

  // A frame without any header there, and one back.
  std::string exchange(std::string_view token) {
    Buffer out;
    Writer writer(out);
    writer.write<std::int32_t>(static_cast<std::int32_t>(token.size()));
    writer.write_bytes(as_bytes(token));
    send_bytes(out);
    SLUICE_ASSERT(world_.run_until([&] { return has_response() || socket_->ended(); }));
    SLUICE_ASSERT(has_response());
    const auto frame = next_frame(socket_->received(), 64 << 20);
    std::string answer(as_text(**frame));
    socket_->take(frame_size_bytes + answer.size());
    return answer;
  }

  [[nodiscard]] bool has_response() const {
    const auto frame = next_frame(socket_->received(), 64 << 20);
    return frame && *frame;
  }
  // False: the server has kept the connection for ten virtual seconds.
  bool closed() {
    return world_.run_until([&] { return socket_->ended(); }, std::chrono::seconds(10));
  }
  void close() { socket_->close(); }
  void pause_reading() { socket_->pause_reading(); }
  void resume_reading() { socket_->resume_reading(); }
  void skip_answer() { ++next_answered_; }

 private:
  sim::SimWorld& world_;
  std::unique_ptr<sim::SimClient> socket_;
  Buffer response_;
  std::int32_t next_correlation_id_ = 1;
  std::int32_t next_answered_ = 1;
};

// A hub's streams on a simulated machine with the Kafka front end on shard 0, and a coordinator of
// groups on each.
class SimKafka {
 public:
  explicit SimKafka(std::uint64_t seed, Options options = {}, std::uint32_t shards = 1,
                    stream::EmbeddedTuning tuning = {})
      : backend(seed, shards, tuning), options_(std::move(options)), shards_(shards) {
    start();
  }

  void restart() {
    server.reset();
    for (auto& coordinator : coordinators) {
      std::optional<Result<void>> stopped;
      coordinator->stop([&](Result<void> result) { stopped = std::move(result); });
      SLUICE_ASSERT(world().run_until([&] { return stopped.has_value(); }) && *stopped);
    }
    destroy();
    SLUICE_ASSERT(backend.stop());
    backend.start(shards_);
    start();
  }
  // The process is killed, or the machine loses power.
  void crash() {
    destroy();
    backend.crash();
    store->crash();
    backend.start(shards_);
    start();
  }

  // Serves by the rules of `other` from now on; it must outlive this object's server.
  void use(access::Access& other) {
    server.reset();
    access_ = &other;
    start_server();
  }

  [[nodiscard]] sim::SimWorld& world() { return *backend.world; }
  SimKafkaClient connect() { return {world(), address_}; }

  void create(const std::string& name, std::int32_t partitions = 1) {
    auto client = connect();
    const auto created = client.call<CreateTopicsResponse>(
        ApiKey::create_topics, 7,
        CreateTopicsRequest{.topics = {{.name = name, .num_partitions = partitions}}});
    SLUICE_ASSERT(created.topics.at(0).error_code == ErrorCode::none);
  }

  stream::SimBackend backend;
  Metrics metrics;
  access::AllowAll access;
  std::shared_ptr<table::MemoryStore> store = std::make_shared<table::MemoryStore>();

 private:
  std::unique_ptr<runtime::Mailboxes> mailboxes_;
  std::unique_ptr<Coordinators> peers_;

 public:
  std::vector<std::unique_ptr<Coordinator>> coordinators;
  std::unique_ptr<Server> server;

 private:
  void destroy() {
    server.reset();
    coordinators.clear();
    peers_.reset();
    mailboxes_.reset();
  }
  void start_coordinators() {
    std::vector<runtime::Loop*> loops;
    for (std::uint32_t i = 0; i < shards_; ++i) loops.push_back(&world().loop(i));
    mailboxes_ = std::make_unique<runtime::Mailboxes>(std::move(loops));
    peers_ = std::make_unique<Coordinators>(*mailboxes_);
    for (std::uint32_t i = 0; i < shards_; ++i) {
      const table::Table::Context context{.loop = &world().loop(i),
                                          .stream = &backend.stream(ShardId{i}),
                                          .store = store,
                                          .metrics = &metrics,
                                          .shard = ShardId{i},
                                          .shards = shards_};
      coordinators.push_back(std::make_unique<Coordinator>(*peers_, context, options_.groups));
      peers_->add(*coordinators.back());
    }
  }
  void start() {
    start_coordinators();
    start_server();
  }
  void start_server() {
    server = std::make_unique<Server>(world().loop(0), backend.stream(ShardId{0}), *access_,
                                      *coordinators[0], metrics, options_);
    const auto listening = server->listen({"10.0.0.1", 9092});
    SLUICE_ASSERT(listening);
    address_ = *listening;
  }

  Options options_;
  std::uint32_t shards_;
  access::Access* access_ = &access;
  runtime::Endpoint address_;
};

struct Producer {
  std::int64_t id = -1;
  std::int16_t epoch = -1;
  std::int32_t sequence = -1;
};

// A batch of one record without a key.
Buffer make_batch(std::string_view value, Producer producer = {});

inline ProduceRequest produce_request(std::string_view topic, Bytes batch,
                                      std::int32_t partition = 0) {
  return {.acks = -1,
          .timeout_ms = 1000,
          .topics = {{.name = topic, .partitions = {{.index = partition, .records = batch}}}}};
}

inline FetchRequest fetch_request(std::string_view topic, std::int64_t offset,
                                  std::int32_t max_wait_ms = 0) {
  return {.max_wait_ms = max_wait_ms,
          .min_bytes = 1,
          .max_bytes = 1 << 20,
          .topics = {{.name = topic,
                      .partitions = {{.fetch_offset = offset, .partition_max_bytes = 1 << 20}}}}};
}

}  // namespace sluice::kafka
