#include "hub/hub.h"

#include <utility>

#include "base/logger.h"
#include "hub/directory.h"
#include "hub/distributor.h"
#include "hub/publish_pipeline.h"
#include "hub/record_fetch.h"
#include "hub/replays.h"
#include "hub/router.h"
#include "hub/shares.h"
#include "topic/topic.h"

namespace sluice::hub {

namespace {

constexpr Logger logger("hub");

// Of the subscriber itself; the others have cursors beside it.
bool is_own(const StoredFilter& filter) {
  return !topic::is_shared(filter.text) && !topic::is_replay(filter.text);
}

}  // namespace

std::size_t count_records(std::span<const Delivery> deliveries) {
  std::size_t count = 0;
  for (const Delivery& delivery : deliveries) count += delivery.count;
  return count;
}

std::uint32_t record_at(std::span<const Delivery> deliveries, std::size_t nth) {
  auto delivery = deliveries.begin();
  for (; nth >= delivery->count; ++delivery) nth -= delivery->count;
  return delivery->record + static_cast<std::uint32_t>(nth);
}

class Hub::Impl final : public stream::CatalogueSink {
 public:
  Impl(Group& group, ShardId shard, runtime::Loop& loop, stream::Stream& stream,
       latest::Latest& latest, Metrics& metrics, const Options& options, trace::Tracer& tracer)
      : shard_(shard),
        stream_(stream),
        latest_(latest),
        options_(options),
        router_(stream.catalogue(), options.default_stream),
        publishing_(loop, stream, router_, metrics, tracer, options.publish_batch_max,
                    options.publish_pending_max),
        distributor_(loop, stream, router_, latest, metrics, tracer),
        directory_(
            group, shard,
            [&group](ShardId other) -> Directory& { return group.hub(other).impl_->directory_; }),
        shares_(group, shard,
                {.loop = loop, .stream = stream, .router = router_, .distributor = distributor_},
                metrics,
                [&group](ShardId other) -> Shares& { return group.hub(other).impl_->shares_; }),
        replays_(stream, router_, distributor_),
        fetches_(loop, stream, latest, router_, distributor_, replays_) {
    stream.watch_catalogue(*this);
    if (!stream.catalogue().find(options_.default_stream)) make_default_stream();
  }

  void on_stream_added(const stream::StreamInfo&) override {}
  // Plain MQTT must go on: who deletes the default stream empties it.
  void on_stream_removed(const stream::StreamInfo& stream) override {
    if (stream.name == options_.default_stream) make_default_stream();
  }

  void make_default_stream() {
    if (shard_ != ShardId{0}) return;
    stream_.create(options_.default_stream, options_.default_stream_config,
                   [](const Result<stream::StreamInfo>& made) {
                     if (!made && made.error().code != Errc::exists)
                       logger.error("the default stream could not be made",
                                    {{"reason", made.error().text}});
                   });
  }

  ShardId shard_;
  stream::Stream& stream_;
  latest::Latest& latest_;
  Options options_;
  Router router_;
  PublishPipeline publishing_;
  Distributor distributor_;
  Directory directory_;
  Shares shares_;
  Replays replays_;
  RecordFetch fetches_;
};

Hub::Hub(Group& group, ShardId shard, runtime::Loop& loop, stream::Stream& stream,
         latest::Latest& latest, Metrics& metrics, const Options& options)
    : loop_(loop),
      tracer_(group.traces().add(loop)),
      impl_(std::make_unique<Impl>(group, shard, loop, stream, latest, metrics, options, tracer_)) {
  loop_.add_turn_hook(*this, runtime::TurnPhase::gather);
}

Hub::~Hub() { loop_.remove_turn_hook(*this); }

void Hub::open(Done<void> done) { impl_->latest_.open(impl_->router_, std::move(done)); }

stream::Stream& Hub::stream() { return impl_->stream_; }

Handle Hub::add_publisher(PublisherSink& sink) { return impl_->publishing_.add(sink); }

void Hub::remove_publisher(Handle publisher) { impl_->publishing_.remove(publisher); }

Result<void> Hub::publish(Handle publisher, std::uint64_t sequence, const Message& message) {
  const auto route = impl_->router_.route(message.topic);
  if (!route) return std::unexpected(route.error());
  return impl_->publishing_.publish(publisher, sequence, *route, message);
}

bool Hub::has_room() const { return impl_->publishing_.has_room(); }

void Hub::wait_for_room(Handle publisher) { impl_->publishing_.wait_for_room(publisher); }

void Hub::when_published(Task task) { impl_->publishing_.when_published(std::move(task)); }

Handle Hub::add_subscriber(SubscriberSink& sink, std::uint64_t session) {
  return impl_->distributor_.add(sink, session);
}

void Hub::remove_subscriber(Handle subscriber) {
  impl_->shares_.remove(subscriber);
  impl_->replays_.remove(subscriber);
  impl_->distributor_.remove(subscriber);
}

void Hub::subscribe(Handle subscriber, const std::string& filter, const SubscribeOptions& options,
                    Done<void> done) {
  if (topic::is_shared(filter))
    return impl_->shares_.subscribe(subscriber, filter, options, {}, std::move(done));
  impl_->distributor_.subscribe(subscriber, filter, options, std::move(done));
}

void Hub::replay(Handle subscriber, const std::string& text, const SubscribeOptions& options,
                 const std::optional<StartPoint>& from, Done<void> done) {
  impl_->replays_.subscribe(subscriber, text, options, from, std::move(done));
}

std::string Hub::topics_of_replay(std::string_view text) const {
  const auto replay = topic::parse_replay(text);
  return impl_->router_.filter_of(replay->stream, replay->filter);
}

bool Hub::unsubscribe(Handle subscriber, std::string_view filter) {
  if (topic::is_shared(filter)) return impl_->shares_.unsubscribe(subscriber, filter);
  if (topic::is_replay(filter)) return impl_->replays_.unsubscribe(subscriber, filter);
  return impl_->distributor_.unsubscribe(subscriber, filter);
}

bool Hub::has_filter(Handle subscriber, std::string_view filter) const {
  if (topic::is_shared(filter)) return impl_->shares_.has(subscriber, filter);
  if (topic::is_replay(filter)) return impl_->replays_.has(subscriber, filter);
  return impl_->distributor_.has_filter(subscriber, filter);
}

void Hub::resume(Handle subscriber) {
  impl_->distributor_.resume(subscriber);
  impl_->shares_.resume(subscriber);
  impl_->replays_.resume(subscriber);
}

void Hub::settle(Handle membership, std::span<const std::uint64_t> tickets) {
  impl_->shares_.settle(membership, tickets);
}

void Hub::keep(Handle membership, std::span<const std::uint64_t> tickets) {
  impl_->shares_.keep(membership, tickets);
}

void Hub::set_store(sessions::Groups& groups) { impl_->shares_.set_store(groups); }

void Hub::subscribe_shared(Handle subscriber, const std::string& filter,
                           const SubscribeOptions& options, const std::string& client_id,
                           Done<void> done) {
  impl_->shares_.subscribe(subscriber, filter, options, client_id, std::move(done));
}

sessions::ShareId Hub::share_of(Handle subscriber, std::string_view filter) const {
  return topic::is_shared(filter) ? impl_->shares_.share_of(subscriber, filter) : 0;
}

bool Hub::holds_shares(Handle subscriber) const { return impl_->shares_.holds_any(subscriber); }

void Hub::save_shares(Handle subscriber, Done<void> done) {
  impl_->shares_.save(subscriber, std::move(done));
}

void Hub::save_groups(Done<void> done) { impl_->shares_.save_home(std::move(done)); }

void Hub::list_shares(const PageQuery& query, Done<Page<ShareSummary>> done) {
  impl_->shares_.list(query, std::move(done));
}

void Hub::find_share(const std::string& text, Done<std::optional<ShareSummary>> done) {
  impl_->shares_.find_group(text, std::move(done));
}

void Hub::show_share(const std::string& text, Done<std::optional<ShareDetails>> done) {
  impl_->shares_.show_group(text, std::move(done));
}

void Hub::remove_share(const std::string& text, Done<bool> done) {
  impl_->shares_.remove_group(text, std::move(done));
}

std::vector<Position> Hub::positions(Handle subscriber) const {
  return impl_->distributor_.positions(subscriber);
}

std::vector<Position> Hub::tails(std::string_view filter) const {
  return impl_->distributor_.tails(filter);
}

std::vector<Position> Hub::since(Handle subscriber, std::string_view filter) const {
  if (topic::is_replay(filter)) return impl_->replays_.positions(subscriber, filter);
  return impl_->distributor_.since(subscriber, filter);
}

std::vector<sessions::ReplayPlace> Hub::replays(Handle subscriber) const {
  return impl_->replays_.places(subscriber);
}

std::vector<sessions::RetainedRest> Hub::retained_rests(Handle subscriber) const {
  return impl_->distributor_.retained_rests(subscriber);
}

Handle Hub::restore(SubscriberSink& sink, std::uint64_t session, std::vector<StoredFilter> filters,
                    std::vector<Position> next, const std::vector<sessions::RetainedRest>& rests,
                    Done<void> done) {
  const Handle handle = add_subscriber(sink, session);
  std::vector<StoredFilter> own;
  std::vector<StoredFilter> beside;
  for (StoredFilter& filter : filters) (is_own(filter) ? own : beside).push_back(std::move(filter));
  // One answer for all, with the last of them.
  const auto open = std::make_shared<std::size_t>(1 + beside.size());
  const auto part_done =
      [open, all = std::make_shared<Done<void>>(std::move(done))](const Result<void>&) {
        if (--*open == 0) (*all)({});
      };
  impl_->distributor_.restore(handle, std::move(own), std::move(next), part_done, rests);
  for (const StoredFilter& filter : beside)
    if (topic::is_shared(filter.text))
      impl_->shares_.restore(handle, filter, part_done);
    else
      impl_->replays_.restore(handle, filter, part_done);
  return handle;
}

std::vector<Position> Hub::restored_positions(std::vector<StoredFilter> filters,
                                              std::vector<Position> next) const {
  std::erase_if(filters, [](const StoredFilter& filter) { return !is_own(filter); });
  return impl_->distributor_.restored_positions(std::move(filters), std::move(next));
}

std::vector<Position> Hub::restored_replay(const StoredFilter& replay) const {
  return impl_->replays_.restored_positions(replay);
}

void Hub::fetch(Handle subscriber, std::vector<WantedRecord> records, FetchSink& sink,
                Done<std::size_t> done) {
  impl_->fetches_.start(subscriber, std::move(records), sink, std::move(done));
}

SubscriberState Hub::describe(Handle subscriber) const {
  SubscriberState state = impl_->distributor_.describe(subscriber);
  impl_->shares_.describe(subscriber, state);
  impl_->replays_.describe(subscriber, state);
  return state;
}

void Hub::trace_place(Partition partition, Offset offset, JsonObject& line) const {
  if (const auto* stream = impl_->stream_.catalogue().find(partition.stream))
    line.add("stream", stream->name);
  line.add("partition", partition.index).add("offset", offset.value);
}

std::size_t Hub::count_matching(Partition partition, const log::Block& block,
                                std::uint32_t record) const {
  return impl_->distributor_.count_matching(partition, block, block.records()[record]);
}

void Hub::claim(std::string client_id, std::uint64_t session, Claim claim, Evict evict,
                Done<void> done) {
  impl_->directory_.claim(std::move(client_id), session, claim, std::move(evict), std::move(done));
}

void Hub::release(std::string_view client_id, std::uint64_t session) {
  impl_->directory_.release(client_id, session);
}

void Hub::announce(AnnouncementRef announcement) {
  impl_->distributor_.announce(std::move(announcement));
}

void Hub::on_turn_end() {
  impl_->publishing_.end_turn();
  impl_->shares_.end_turn();
}

}  // namespace sluice::hub
