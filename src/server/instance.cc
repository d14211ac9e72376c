#include "server/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <system_error>
#include <thread>

#include "base/logger.h"
#include "kafka_stream/kafka_backend.h"
#include "server/cluster_id.h"
#include "server/hub_options.h"
#include "server/process_metrics.h"
#include "server/tls_files.h"
#include "server/users_file.h"
#include "stream/embedded.h"

namespace sluice::server {
namespace {

constexpr Logger logger("server");
constexpr std::string_view listeners_file = "listeners.json";

// Answers of all shards, gathered on the shard that asks.
struct Gathered {
  std::size_t open;
  Reasons reasons;
  std::move_only_function<void(Reasons)> done;

  void add(std::string reason) {
    if (!reason.empty()) reasons.push_back(std::move(reason));
    if (--open == 0) done(std::move(reasons));
  }
};

// `mode` is octal.
Result<void> open_to_users(const runtime::Endpoint& unix_socket, const std::string& mode) {
  const std::string path = unix_socket.address.substr(std::string_view("unix:").size());
  std::error_code error;
  std::filesystem::permissions(
      path, static_cast<std::filesystem::perms>(std::stoul(mode, nullptr, 8)), error);
  if (error) return fail(Errc::io, "cannot set the mode of {}: {}", path, error.message());
  return {};
}

}  // namespace

Instance::DefaultStreamWatch::DefaultStreamWatch(Instance& instance, stream::Stream& stream)
    : instance_(instance) {
  stream.watch_catalogue(*this);
  if (const stream::StreamInfo* there = stream.catalogue().find(hub::Options{}.default_stream))
    on_stream_added(*there);
}

void Instance::DefaultStreamWatch::on_stream_added(const stream::StreamInfo& stream) {
  if (seen_ || stream.name != hub::Options{}.default_stream) return;
  seen_ = true;
  instance_.notify([this] { ++instance_.default_streams_; });
}

Result<std::unique_ptr<Instance>> Instance::open(const Config& config) {
  SLUICE_TRY_ASSIGN(auto disk, open_os_disk(config.server.data_dir));
  SLUICE_TRY_ASSIGN(DirectoryLock lock, DirectoryLock::take(config.server.data_dir));
  std::unique_ptr<Instance> instance(new Instance(config, std::move(lock)));
  instance->disk_ = std::move(disk);
  SLUICE_TRY(instance->build());
  return instance;
}

Instance::Instance(const Config& config, DirectoryLock lock)
    : config_(config), lock_(std::move(lock)) {}

Instance::~Instance() {
  if (shards_) shards_->stop();
  reloader_.reset();
  sys_topics_.reset();
  admin_server_.reset();
  for (const auto& unit : units_) {
    unit->kafka.reset();
    unit->groups.reset();
    unit->mqtt.reset();
    unit->delayed.reset();
    unit->hub.reset();
    unit->sessions.reset();
    unit->latest.reset();
  }
}

// Before the loops run, so on this thread alone.
Result<void> Instance::build() {
  // Of a hub that was killed: nobody may take its addresses for ours.
  SLUICE_TRY(disk_->remove(std::string(listeners_file)));

  shards_ =
      std::make_unique<runtime::Shards>(shard_count(config_, std::thread::hardware_concurrency()));
  mailboxes_ = std::make_unique<runtime::Mailboxes>(shards_->loops());
  for (std::size_t i = 0; i < shards_->count(); ++i)
    units_.push_back(std::make_unique<Unit>(shards_->loop(i)));
  SLUICE_TRY_ASSIGN(backend_, open_backend());

  SLUICE_TRY_ASSIGN(const std::string cluster_id, cluster_id_of(*disk_));
  SLUICE_TRY_ASSIGN(const auto users, load_users(config_));
  tables_ = std::make_shared<table::RocksStore>(config_.server.data_dir + "/tables");
  latest_group_ = std::make_unique<latest::Group>(*mailboxes_);
  sessions_group_ = std::make_unique<sessions::Group>(*mailboxes_);
  group_ = std::make_unique<hub::Group>(*mailboxes_);
  coordinators_ = std::make_unique<kafka::Coordinators>(*mailboxes_);
  mqtt_connections_ =
      std::make_shared<mqtt::ConnectionQuota>(mqtt_connections_max(config_, descriptor_limit()));
  delayed_places_ =
      std::make_shared<delayed::Places>(static_cast<std::uint64_t>(config_.mqtt.delayed_max));
  for (std::uint32_t i = 0; i < units_.size(); ++i) {
    Unit& unit = *units_[i];
    stream::Stream& stream = backend_->stream(ShardId{i});
    watches_.push_back(std::make_unique<DefaultStreamWatch>(*this, stream));
    unit.access = std::make_unique<access::Users>(
        unit.loop, unit.metrics, users,
        access::UsersOptions{.allow_anonymous = config_.access.allow_anonymous});
    unit.latest = std::make_unique<latest::Latest>(*latest_group_, table_context(ShardId{i}));
    latest_group_->add(*unit.latest);
    unit.sessions = std::make_unique<sessions::Sessions>(
        *sessions_group_, table_context(ShardId{i}), Random::from_os());
    sessions_group_->add(*unit.sessions);
    unit.hub = std::make_unique<hub::Hub>(*group_, ShardId{i}, unit.loop, stream, *unit.latest,
                                          unit.metrics, hub_options(config_));
    group_->add(*unit.hub);
    unit.hub->set_store(unit.sessions->groups());
    unit.delayed =
        std::make_unique<delayed::Delayed>(table_context(ShardId{i}), *unit.hub, delayed_places_);
    unit.mqtt =
        std::make_unique<mqtt::Server>(unit.loop, *unit.hub, *unit.delayed, *unit.access,
                                       unit.metrics, mqtt_options(config_), unit.sessions.get());
    unit.sessions->set_flush([&unit](Task done) { unit.mqtt->flush(std::move(done)); });
    unit.sessions->set_on_will(
        [&unit](const std::string& client_id, sessions::Uid uid, sessions::Will will, WallMs due) {
          unit.mqtt->adopt_will(client_id, uid, std::move(will), due);
        });
    if (config_.stream.backend == "embedded") build_kafka(ShardId{i}, cluster_id);
  }
  build_sys_topics();
  build_admin();
  reloader_ = std::make_unique<Reloader>(units_.front()->loop);
  SLUICE_TRY(load_certificates());
  follow_users(users != nullptr);
  reloader_->start();
  return {};
}

std::vector<Metrics*> Instance::registries() const {
  return of_units<Metrics*>([](Unit& unit) { return &unit.metrics; });
}

void Instance::build_sys_topics() {
  sys_topics_ = std::make_unique<SysTopics>(
      units_.front()->loop, registries(),
      [this](const hub::AnnouncementRef& announcement) {
        for (const auto& unit : units_)
          unit->loop.post_from_outside(
              [&unit = *unit, announcement] { unit.hub->announce(announcement); });
      },
      [this](Done<std::int64_t> done) { count_stored(std::move(done)); });
}

void Instance::count_stored(Done<std::int64_t> done) {
  stream::Stream& stream = backend_->stream(ShardId{0});
  const auto* const info = stream.catalogue().find(hub::Options{}.default_stream);
  if (!info) return done(fail(Errc::not_found, "there is no default stream"));
  stream.bounds({info->id, 0}, [done = std::move(done)](Result<stream::Bounds> bounds) mutable {
    if (!bounds) return done(std::unexpected(std::move(bounds.error())));
    done(bounds->visible_end.value - bounds->start.value);
  });
}

table::Table::Context Instance::table_context(ShardId shard) {
  Unit& unit = *units_[shard.value];
  return {.loop = &unit.loop,
          .stream = &backend_->stream(shard),
          .store = tables_,
          .metrics = &unit.metrics,
          .shard = shard,
          .shards = static_cast<std::uint32_t>(units_.size())};
}

void Instance::build_kafka(ShardId shard, const std::string& cluster_id) {
  Unit& unit = *units_[shard.value];
  stream::Stream& stream = backend_->stream(shard);
  const kafka::Options options = kafka_options(config_, cluster_id);
  unit.groups =
      std::make_unique<kafka::Coordinator>(*coordinators_, table_context(shard), options.groups);
  coordinators_->add(*unit.groups);
  unit.kafka = std::make_unique<kafka::Server>(unit.loop, stream, *unit.access, *unit.groups,
                                               unit.metrics, options);
}

void Instance::build_admin() {
  Unit& first = *units_.front();
  clients_api_ = std::make_unique<ClientsApi>(
      *mailboxes_, of_units<mqtt::Server*>([](Unit& unit) { return unit.mqtt.get(); }));
  clients_api_->add_to(api_);
  sessions_api_ =
      std::make_unique<SessionsApi>(first.loop, *first.hub, *first.sessions, Random::from_os());
  sessions_api_->add_to(api_);
  queues_api_ = std::make_unique<QueuesApi>(first.loop, *first.hub);
  queues_api_->add_to(api_);
  trace_api_ = std::make_unique<TraceApi>(first.loop, *group_);
  trace_api_->add_to(api_);
  admin_ = std::make_unique<Admin>(*first.access, api_, registries(),
                                   [this](auto done) { collect_readiness(std::move(done)); });
  admin_server_ =
      std::make_unique<http::Server>(first.loop, *admin_, first.metrics, http::Options{});
}

Result<std::unique_ptr<stream::Backend>> Instance::open_backend() {
  if (config_.stream.backend == "kafka") {
    SLUICE_TRY_ASSIGN(const auto options, cluster_options(config_));
    const auto shards = of_units<kafka_stream::KafkaBackend::Shard>(
        [](Unit& unit) { return kafka_stream::KafkaBackend::Shard{&unit.loop, &unit.metrics}; });
    logger.info(
        "streams lie on a Kafka cluster: its clients use it directly, and this hub has no "
        "Kafka listener",
        {{"brokers", options.brokers}});
    return kafka_stream::KafkaBackend::open(options, shards);
  }
  const auto shards = of_units<stream::EmbeddedBackend::Shard>(
      [](Unit& unit) { return stream::EmbeddedBackend::Shard{&unit.loop, &unit.metrics}; });
  return stream::EmbeddedBackend::open(*disk_, log_options(config_), shards, *mailboxes_);
}

Result<void> Instance::run(const std::function<void(const cli::Listeners&)>& on_ready) {
  runtime::on_terminate_signal(units_.front()->loop, [this] { terminate(); });
  runtime::on_hangup_signal(units_.front()->loop, [this] { reloader_->reload_all(); });
  shards_->start();
  if (auto started = start(); !started) {
    static_cast<void>(stop());  // the reason to stop says more than what fails on the way out
    return started;
  }
  if (phase_ == Phase::serving) on_ready(listeners_);
  wait_for_terminate();
  return stop();
}

void Instance::terminate() {
  notify([this] { terminate_ = true; });
}

template <class Fn>
auto Instance::on_shard(std::size_t shard, Fn fn) {
  std::packaged_task<decltype(fn())()> task(std::move(fn));
  auto result = task.get_future();
  units_[shard]->loop.post_from_outside([&task] { task(); });
  return result.get();
}

Result<void> Instance::start() {
  SLUICE_TRY(listen_everywhere(true));  // /readyz says what the others wait for
  if (!wait_for_default_streams()) return {};
  phase_ = Phase::opening;
  SLUICE_TRY_ASSIGN(const bool open, open_hubs());
  if (!open) return {};
  SLUICE_TRY(listen_everywhere(false));
  SLUICE_TRY(replace_file(*disk_, std::string(listeners_file), as_bytes(cli::to_json(listeners_))));
  phase_ = Phase::serving;
  if (config_.mqtt.sys_interval.count() > 0)
    on_shard(0, [this] { sys_topics_->start(config_.mqtt.sys_interval); });
  return {};
}

// Before the loops run. What is loaded again later comes from shard 0.
Result<void> Instance::load_certificates() {
  const auto plans = planned_listeners(config_);
  if (std::ranges::none_of(plans, net::has_tls, &ListenerPlan::transport)) return {};
  const auto load = [this] { return load_tls(config_.tls, units_.front()->loop.wall_ms()); };
  SLUICE_TRY_ASSIGN(const auto tls, load());
  use_certificates(tls);
  reloader_->add({.name = "certificates",
                  .files = [this] { return tls_files(config_.tls); },
                  .load = [this, load]() -> Result<Task> {
                    SLUICE_TRY_ASSIGN(auto loaded, load());
                    return [this, loaded = std::move(loaded)] { use_certificates(loaded); };
                  }});
  return {};
}

// Whoever was a user stays one when the file is gone: a hub does not become open to everybody while
// it runs.
void Instance::follow_users(bool had_users) {
  const auto load = [this, had_users]() mutable -> Result<Task> {
    SLUICE_TRY_ASSIGN(auto users, load_users(config_));
    if (users == nullptr && had_users)
      return fail(Errc::not_found, "{} is gone", users_path(config_));
    had_users = users != nullptr;
    return [this, users = std::move(users)] { use_users(users); };
  };
  reloader_->add({.name = "users",
                  .files = [this] { return std::vector{users_path(config_)}; },
                  .load = load});
}

void Instance::use_users(const std::shared_ptr<const access::UserTable>& users) {
  for (const auto& unit : units_)
    unit->loop.post_from_outside([&unit, users] { unit->access->replace(users); });
}

void Instance::use_certificates(const std::shared_ptr<const net::TlsContext>& tls) {
  for (const std::string& warning : tls->warnings()) logger.warn(warning);
  units_.front()
      ->metrics
      .gauge("sluice_tls_certificate_expiry_timestamp_seconds",
             "When the first certificate in use expires")
      .set(tls->expires() / 1000);
  for (const auto& unit : units_)
    unit->loop.post_from_outside([&unit = *unit, tls] {
      unit.mqtt->set_tls(tls);
      if (unit.kafka) unit.kafka->set_tls(tls);
    });
}

Result<void> Instance::listen_everywhere(bool admin) {
  for (const ListenerPlan& plan : planned_listeners(config_))
    if ((plan.face == Face::admin) == admin) SLUICE_TRY(listen(plan));
  return {};
}

Result<void> Instance::listen(const ListenerPlan& plan) {
  runtime::Endpoint at{plan.address, plan.port};
  std::shared_ptr<mqtt::Listener> mqtt_listener;
  if (plan.face == Face::mqtt)
    mqtt_listener =
        std::make_shared<mqtt::Listener>(mqtt_listener_options(config_, plan), mqtt_connections_);
  const std::size_t shards = plan.face == Face::admin ? 1 : units_.size();
  for (std::size_t shard = 0; shard < shards; ++shard) {
    auto bound =
        on_shard(shard, [&] { return listen_on(*units_[shard], plan, at, mqtt_listener); });
    if (!bound)
      return fail(bound.error().code, "{}; give {} another {}", bound.error().text, plan.setting,
                  runtime::is_unix(at) ? "path" : "number, 0 (any free one) or off");
    at = *bound;
  }
  if (runtime::is_unix(at)) SLUICE_TRY(open_to_users(at, plan.own_table->socket_mode));
  listeners_[std::string(plan.name)] = runtime::to_string(at);
  logger.info("listening", {{"protocol", plan.name}, {"address", runtime::to_string(at)}});
  return {};
}

Result<runtime::Endpoint> Instance::listen_on(
    Unit& unit, const ListenerPlan& plan, const runtime::Endpoint& at,
    const std::shared_ptr<mqtt::Listener>& mqtt_listener) {
  switch (plan.face) {
    case Face::admin:
      return admin_server_->listen(at);
    case Face::kafka:
      return unit.kafka->listen(at, plan.transport);
    case Face::mqtt:
      return unit.mqtt->listen(at, mqtt_listener);
  }
  return fail(Errc::invalid, "no such listener");
}

void Instance::notify(std::move_only_function<void()> change) {
  const std::lock_guard lock(mutex_);
  change();
  changed_.notify_all();
}

bool Instance::wait_for_default_streams() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return terminate_ || default_streams_ == units_.size(); });
  return !terminate_;
}

// So that retained messages and sessions are there for the first who asks, and delayed messages
// that are due.
Result<bool> Instance::open_hubs() {
  for (const auto& unit : units_) unit->loop.post_from_outside([this, &unit] { open_hub(*unit); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return terminate_ || hubs_open_ == units_.size(); });
  SLUICE_TRY(hubs_opened_);
  return !terminate_;
}

void Instance::open_hub(Unit& unit) {
  const auto opened = [this](const Result<void>& result) {
    notify([this, result] {
      ++hubs_open_;
      if (hubs_opened_) hubs_opened_ = result;
    });
  };
  unit.hub->open([&unit, opened](const Result<void>& hub) {
    if (!hub) return opened(hub);
    unit.sessions->open([&unit, opened](const Result<void>& sessions) {
      if (!sessions) return opened(sessions);
      unit.delayed->open(opened);
    });
  });
}

void Instance::wait_for_terminate() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return terminate_; });
}

Result<void> Instance::stop() {
  phase_ = Phase::stopping;
  logger.info("stopping");
  static_cast<void>(
      disk_->remove(std::string(listeners_file)));  // a stale one is removed by the next start
  for (std::size_t i = 0; i < units_.size(); ++i)
    on_shard(i, [&unit = *units_[i]] {
      unit.mqtt->stop();
      if (unit.kafka) unit.kafka->stop();
    });
  on_shard(0, [this] {
    admin_server_->stop();
    sys_topics_->stop();
  });

  auto outcome = stop_tables();
  std::promise<Result<void>> flushed;
  on_shard(0, [&] {
    backend_->stop([&flushed](Result<void> done) { flushed.set_value(std::move(done)); });
  });
  if (auto stopped = flushed.get_future().get(); !stopped) outcome = std::move(stopped);
  shards_->stop();
  if (outcome) logger.info("stopped");
  return outcome;
}

// While the streams still take what tables have to append.
Result<void> Instance::stop_tables() {
  Result<void> outcome;
  const auto stop_one = [&](std::size_t shard, auto& part) {
    std::promise<Result<void>> stopped;
    on_shard(shard, [&] {
      part.stop([&stopped](Result<void> done) { stopped.set_value(std::move(done)); });
    });
    if (auto done = stopped.get_future().get(); !done) outcome = std::move(done);
  };
  // First who publishes: that still changes what retained messages there are.
  for (std::size_t i = 0; i < units_.size(); ++i) stop_one(i, *units_[i]->delayed);
  for (std::size_t i = 0; i < units_.size(); ++i) stop_one(i, *units_[i]->sessions);
  for (std::size_t i = 0; i < units_.size(); ++i) {
    stop_one(i, *units_[i]->latest);
    if (units_[i]->groups) stop_one(i, *units_[i]->groups);
  }
  return outcome;
}

void Instance::collect_readiness(std::move_only_function<void(Reasons)> done) {
  if (phase_ == Phase::starting || phase_ == Phase::opening) {
    Reasons reasons{"starting"};
    if (phase_ == Phase::opening)
      reasons.emplace_back("retained messages and sessions are being read");
    const stream::Health health = backend_->health({});  // the admin port is on shard 0
    if (!health.writable) reasons.push_back(health.reason);
    return done(std::move(reasons));
  }
  if (phase_ == Phase::stopping) return done({"stopping"});
  const auto gathered = std::make_shared<Gathered>(Gathered{units_.size(), {}, std::move(done)});
  for (std::uint32_t i = 0; i < units_.size(); ++i)
    units_[i]->loop.post_from_outside([this, i, gathered] {
      const stream::Health health = backend_->health(ShardId{i});
      units_.front()->loop.post_from_outside(
          [gathered, reason = health.writable ? "" : health.reason] { gathered->add(reason); });
    });
}

}  // namespace sluice::server
