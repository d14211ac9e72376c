#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "access/users.h"
#include "base/disk.h"
#include "base/metrics.h"
#include "cli/listeners.h"
#include "delayed/delayed.h"
#include "http/server.h"
#include "hub/hub.h"
#include "kafka/coordinator.h"
#include "kafka/server.h"
#include "latest/latest.h"
#include "mqtt/server.h"
#include "runtime/mailbox.h"
#include "runtime/shard.h"
#include "server/admin.h"
#include "server/clients_api.h"
#include "server/config.h"
#include "server/listener_plan.h"
#include "server/queues_api.h"
#include "server/reloader.h"
#include "server/sessions_api.h"
#include "server/sys_topics.h"
#include "server/trace_api.h"
#include "sessions/sessions.h"
#include "stream/backend.h"
#include "table/rocks_store.h"

namespace sluice::server {

// One running hub: everything that a process holds, wired together.
//
// Threads: open(), run() and the destructor on the main thread, which is no shard and may block;
//          what lives on a shard is called there by on_shard().
// Order:   destroyed are, once the shards have stopped: front ends, hubs, streams, mailboxes,
//          loops, lock.
class Instance {
 public:
  // Takes the data directory, recovers the log, builds all shards. Errors name what is in the way.
  static Result<std::unique_ptr<Instance>> open(const Config& config);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // Serves until SIGTERM or SIGINT, then stops in order: listeners and connections, flush,
  // checkpoint. `on_ready` is called here once all listeners accept.
  Result<void> run(const std::function<void(const cli::Listeners&)>& on_ready);
  // As SIGTERM does; from any thread, and from within `on_ready`.
  void terminate();

 private:
  enum class Phase : std::uint8_t { starting, opening, serving, stopping };

  // What one shard has, used on its loop only once the shards run.
  struct Unit {
    explicit Unit(runtime::RealLoop& its_loop) : loop(its_loop) {}
    runtime::RealLoop& loop;
    Metrics metrics;
    std::unique_ptr<access::Users> access;
    std::unique_ptr<latest::Latest> latest;
    std::unique_ptr<sessions::Sessions> sessions;
    std::unique_ptr<hub::Hub> hub;
    std::unique_ptr<delayed::Delayed> delayed;
    std::unique_ptr<mqtt::Server> mqtt;
    // None on a Kafka cluster:
    std::unique_ptr<kafka::Coordinator> groups;
    std::unique_ptr<kafka::Server> kafka;
  };

  // Tells the main thread when the default stream, which the hubs create, is known to a shard.
  class DefaultStreamWatch final : public stream::CatalogueSink {
   public:
    DefaultStreamWatch(Instance& instance, stream::Stream& stream);
    void on_stream_added(const stream::StreamInfo& stream) override;
    void on_stream_removed(const stream::StreamInfo& /*stream*/) override {}

   private:
    Instance& instance_;
    bool seen_ = false;
  };

  Instance(const Config& config, DirectoryLock lock);
  Result<void> build();
  Result<std::unique_ptr<stream::Backend>> open_backend();
  Result<void> start();
  Result<void> load_certificates();
  void follow_users(bool had_users);
  void use_users(const std::shared_ptr<const access::UserTable>& users);
  void use_certificates(const std::shared_ptr<const net::TlsContext>& tls);
  Result<void> listen_everywhere(bool admin);  // on the admin port, or on all others
  bool wait_for_default_streams();             // false: told to terminate meanwhile
  Result<bool> open_hubs();                    // false: told to terminate meanwhile
  void open_hub(Unit& unit);
  void wait_for_terminate();
  Result<void> stop();
  Result<void> stop_tables();
  [[nodiscard]] table::Table::Context table_context(ShardId shard);
  void build_kafka(ShardId shard, const std::string& cluster_id);
  void build_admin();

  // Runs `fn` on a shard and waits for it.
  template <class Fn>
  auto on_shard(std::size_t shard, Fn fn);
  // The first shard binds, the others share its port.
  Result<void> listen(const ListenerPlan& plan);
  Result<runtime::Endpoint> listen_on(Unit& unit, const ListenerPlan& plan,
                                      const runtime::Endpoint& at,
                                      const std::shared_ptr<mqtt::Listener>& mqtt_listener);
  void collect_readiness(std::move_only_function<void(Reasons)> done);
  // What `fn` makes of each unit, in the order of the shards.
  template <class T, class Fn>
  [[nodiscard]] std::vector<T> of_units(Fn fn) const {
    std::vector<T> all;
    all.reserve(units_.size());
    for (const auto& unit : units_) all.push_back(fn(*unit));
    return all;
  }
  [[nodiscard]] std::vector<Metrics*> registries() const;
  void build_sys_topics();
  void count_stored(Done<std::int64_t> done);
  void notify(std::move_only_function<void()> change);

  Config config_;
  DirectoryLock lock_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<runtime::Shards> shards_;
  std::unique_ptr<runtime::Mailboxes> mailboxes_;
  std::vector<std::unique_ptr<Unit>>
      units_;  // ~Instance empties them, since they outlive the backend
  std::unique_ptr<stream::Backend> backend_;
  std::shared_ptr<table::Store> tables_;
  std::unique_ptr<latest::Group> latest_group_;
  std::unique_ptr<sessions::Group> sessions_group_;
  std::unique_ptr<hub::Group> group_;
  std::unique_ptr<kafka::Coordinators> coordinators_;
  std::vector<std::unique_ptr<DefaultStreamWatch>> watches_;
  std::unique_ptr<ClientsApi> clients_api_;
  std::unique_ptr<SessionsApi> sessions_api_;
  std::unique_ptr<QueuesApi> queues_api_;
  std::unique_ptr<TraceApi> trace_api_;
  Api api_{[this] { return phase_ == Phase::serving; }};
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<http::Server> admin_server_;
  std::unique_ptr<Reloader> reloader_;     // on shard 0
  std::unique_ptr<SysTopics> sys_topics_;  // on shard 0
  cli::Listeners listeners_;
  std::shared_ptr<mqtt::ConnectionQuota> mqtt_connections_;
  std::shared_ptr<delayed::Places> delayed_places_;
  std::atomic<Phase> phase_ = Phase::starting;

  // What shards tell the main thread.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool terminate_ = false;
  std::size_t default_streams_ = 0;
  std::size_t hubs_open_ = 0;
  Result<void> hubs_opened_;  // the first error
};

}  // namespace sluice::server
