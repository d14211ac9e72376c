#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/access.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/page.h"
#include "base/page_query.h"
#include "base/result.h"
#include "base/start_point.h"
#include "base/task.h"
#include "hub/handle.h"
#include "hub/lag_limits.h"
#include "hub/message.h"
#include "latest/latest.h"
#include "runtime/loop.h"
#include "runtime/mailbox.h"
#include "sessions/record.h"
#include "stream/stream.h"
#include "trace/traces.h"

namespace sluice::sessions {
class Groups;
}

namespace sluice::hub {

// What a connection that publishes implements.
class PublisherSink {
 public:
  // Everything published with a sequence <= `up_to` is durable, but for what on_publish_failed
  // named before. One call per publisher and group of turns.
  virtual void on_published(std::uint64_t up_to) = 0;
  virtual void on_publish_failed(std::uint64_t sequence, const Error& error) = 0;
  // hub.has_room() was false and is true again.
  virtual void on_room() = 0;

 protected:
  ~PublisherSink() = default;
};

// What a subscription gives: merged over all of the subscriber's filters that match.
struct Grant {
  std::uint8_t qos = 0;  // the highest granted
  bool retain_as_published = false;
  std::uint32_t replay = 0;  // which of the subscriber's it is of (sessions::group_mark); 0: none
  std::span<const std::uint32_t> ids{};  // MQTT 5 subscription identifiers, of all that match
};

// Neighbouring records of a block that a subscriber gets alike.
struct Delivery {
  std::uint32_t record;  // index of the first into block.records()
  std::uint32_t count;
  const Grant* grant;  // valid during the call
};
std::size_t count_records(std::span<const Delivery> deliveries);
// The index of the `nth` of them into block.records(), counted from 0.
std::uint32_t record_at(std::span<const Delivery> deliveries, std::size_t nth);

enum class Origin : std::uint8_t { log, retained, shared };

// What a member of a shared subscription was given: one record, which stands open until it is
// settled (Hub::settle).
struct Ticket {
  Handle membership;
  std::uint64_t number;
};

// Records of one block for one subscriber, in order.
struct DeliveryBatch {
  std::string_view prefix;  // the topic of each is this followed by the record's key
  const log::BlockRef& block;
  std::span<const Delivery> deliveries;
  Origin origin = Origin::log;
  // Many who are behind are served together, so that each gets a little at a time: more follows
  // soon, and then on_portions_end(), unless the subscriber can't take more.
  bool in_portions = false;
  Partition partition{};
  // With Origin::retained, by index into block.records(): latest::Portion::published_at; of $SYS
  // topics empty.
  std::span<const Offset> published_at{};
  Handle membership{};             // with Origin::shared: the nth record, counted from 0, has the
  std::uint64_t first_ticket = 0;  // ticket {membership, first_ticket + n}
  std::uint32_t group =
      0;  // of a stored session's: which shared subscription (sessions::group_mark)
};

// Why a subscriber was moved on in the log.
enum class Loss : std::uint8_t {
  retention,  // records that it had yet to read are removed
  lag_limit,  // it was further behind than LagLimits allow
};

// What a connection that subscribes implements.
class SubscriberSink {
 public:
  // Returns how many records were taken, from the front. Fewer than all: the subscriber now lags;
  // it gets the rest, read from the log again, after it has called Hub::resume(). With
  // Origin::retained the block is no batch of the log but a portion of the retained messages that a
  // new subscription asked for; they come before anything later of that subscription. With
  // Origin::shared they are the subscriber's part of what a shared subscription gives: each that is
  // taken stands open until Hub::settle(); what is not taken goes to other members.
  virtual std::size_t on_records(const DeliveryBatch& batch) = 0;
  // No more of what came in portions. Not to call the hub.
  virtual void on_portions_end() {}
  // It was moved on past so many offsets of some partition without being offered what is there,
  // whether that was for it or not. Not of shared subscriptions.
  virtual void on_lost(Loss /*why*/, std::uint64_t /*offsets*/) {}
  // Null: it may be behind as far as it likes, as replays and shared subscriptions may in any case.
  // Asked when it leaves the tail; what is answered stays there as long as the subscriber.
  [[nodiscard]] virtual const LagLimits* lag_limits() const { return nullptr; }
  // Who it is, for traces; nobody: it is not to be told of.
  [[nodiscard]] virtual trace::Who who() const { return {}; }

 protected:
  ~SubscriberSink() = default;
};

// Which of the streams that a filter covers it is for.
enum class Streams : std::uint8_t {
  all,
  plain,  // the default stream
  named,  // the stream that its first level names
};

struct SubscribeOptions {
  std::uint8_t qos = 0;
  bool no_local = false;
  bool retain_as_published = false;
  bool send_retained = false;   // the retained messages that match come first
  std::uint32_t id = 0;         // MQTT 5 subscription identifier; 0: none
  std::uint32_t window = 1024;  // of a shared subscription: how many records may stand open
  // How many partitions all filters of the subscriber may cover, but shared ones; and how many all
  // its replays. 0: any number.
  std::uint32_t partitions_max = 0;
  // The hub chooses these two (replays.h).
  Streams streams = Streams::all;
  std::uint32_t replay = 0;  // as Grant has it
};

// A filter of a subscriber that is to be restored.
struct StoredFilter {
  std::string text;
  SubscribeOptions options;
  // since() when it was added: it matches nothing before. Of a replay where it goes on.
  std::vector<Position> since;
  sessions::ShareId share = 0;  // of a shared one: share_of()
};

// One that is to be read again.
struct WantedRecord {
  Position position;
  std::uint32_t replay = 0;  // as of the Grant with which it was delivered
  // Not empty: the retained message of this topic, if it is the one that was published there.
  std::string retained_topic{};
};

// A record that was read again.
struct FetchedRecord {
  Position position;
  std::string_view prefix;  // the topic is this followed by the record's key
  const log::BlockRef& block;
  std::uint32_t record;  // index into block.records()
  // By the replay that it came from, if that is still there, or else the asker's plain filters as
  // they are now; null: none of them matches. Valid during the call.
  const Grant* grant;
  bool is_retained = false;
};

// Whom Hub::fetch() gives records to.
class FetchSink {
 public:
  // False: it was not taken; the fetch ends here.
  virtual bool on_fetched(const FetchedRecord& record) = 0;
  // It is not there any more: retention or compaction took it, or its stream was removed. Of a
  // retained message: another has taken its place, or none.
  virtual void on_gone(Position position) = 0;

 protected:
  ~FetchSink() = default;
};

// What there is to say of one subscriber.
struct SubscriberState {
  struct Subscription {
    std::string filter;
    SubscribeOptions options;
  };
  // Where it reads the log because it has left the tail.
  struct Behind {
    std::string stream;
    std::uint32_t partition;
    Offset next;
    Offset end;  // of what is handed out
  };
  std::vector<Subscription> subscriptions;
  std::vector<Behind> behind;
  bool takes_no_more = false;       // until Hub::resume()
  bool waits_for_retained = false;  // some retained messages are still to come
};

struct Options {
  std::string default_stream = "mqtt";
  stream::StreamConfig default_stream_config;
  std::size_t publish_batch_max = 256 << 10;  // a batch is closed at this size within a turn
  std::size_t publish_pending_max =
      8 << 20;  // bytes published and not yet durable, per shard; beyond: has_room() is false
  std::size_t expanded_max = 64 << 20;  // of a compressed batch
};

// What a client that claims its id wants of what an older holder has kept for it. `remove`: no
// client comes, an administrator ends the session.
enum class Claim : std::uint8_t { resume, clean, remove };
// Called for a session whose client id another one has claimed. `done` is run once, on this shard,
// when the session has left all that it keeps where the newer one will look for it; until then the
// newer one waits. What it captures fits in 24 bytes, or each session costs one more allocation.
using Evict = std::move_only_function<void(std::uint64_t session, Claim newer, Task done)>;

class Group;
struct ShareSummary;
struct ShareDetails;
struct Announcement;
using AnnouncementRef = std::shared_ptr<const Announcement>;

// What all protocols share, for one shard: routes between topics and records, publishing,
// subscribing. Knows no protocol.
//
// Publishing: records of a turn gather in one batch per partition, which is appended at the end of
// the turn. Subscribing: one tail per partition that any filter of the shard covers; each record is
// matched once (matches are cached per topic) and handed to its subscribers block by block. A
// subscriber that can't take more lags: it keeps a position per partition, and lagging subscribers
// of a partition are served by one sweep through the log together. Memory per subscriber is its
// filters and, while it lags, its positions; messages are never queued for it.
class Hub final : public runtime::TurnHook {
 public:
  // `latest` is that of the same shard, not opened yet.
  Hub(Group& group, ShardId shard, runtime::Loop& loop, stream::Stream& stream,
      latest::Latest& latest, Metrics& metrics, const Options& options);
  ~Hub();

  // Makes the retained messages ready; until `done` nobody publishes or subscribes. Errors: those
  // of latest::Latest::open.
  void open(Done<void> done);

  [[nodiscard]] stream::Stream& stream();

  // --- publishing
  Handle add_publisher(PublisherSink& sink);
  void remove_publisher(
      Handle publisher);  // what it has published goes on; nothing is told any more
  // Takes the message into this turn's batch. `sequence` must rise with each call of a publisher;
  // on_published answers for it unless qos is 0. Errors answer at once and take nothing: invalid
  // (topic), too_large, busy (no room), disk_full, closed.
  Result<void> publish(Handle publisher, std::uint64_t sequence, const Message& message);
  // False: stop reading from publishers until PublisherSink::on_room.
  [[nodiscard]] bool has_room() const;
  void wait_for_room(Handle publisher);
  // Runs `task` when everything that was published on this shard so far has been answered, durable
  // or failed, and its publishers know; within the call if that is so already.
  void when_published(Task task);

  // --- subscribing
  // `session` is the id that Message::publisher carries, for no-local; 0: it has none.
  Handle add_subscriber(SubscriberSink& sink, std::uint64_t session);
  void remove_subscriber(Handle subscriber);
  // Adds or replaces. `done` runs when every message that is published from then on will be
  // delivered; then come the retained messages, if they are asked for, and then what is published.
  //
  // A filter "$share/<name>/<filter>" makes the subscriber a member of that group (MQTT 5, section
  // 4.8.2), beside its other filters: it gets a part of the group's messages, and none twice
  // because of them; no retained ones, and `no_local` means nothing. "$queue/<name>/<filter>" is
  // one that lasts without members, from its first one on.
  //
  // Errors: too_large (options.partitions_max): nothing has changed.
  void subscribe(Handle subscriber, const std::string& filter, const SubscribeOptions& options,
                 Done<void> done);
  // Adds or replaces a replay, "$stream/<stream>[/<filter>]": the records of that stream from
  // `from` on, whose keys match the filter, and then what comes. No `from`: one that is there goes
  // on where it is, another begins at the start. It is beside the subscriber's other filters, so it
  // gets what these match, too; no retained messages. `done` as of subscribe(). Errors: not_found
  // (the stream), out_of_range (an offset that it does not have), too_large
  // (options.partitions_max), invalid, those of stream::Stream::resolve.
  void replay(Handle subscriber, const std::string& text, const SubscribeOptions& options,
              const std::optional<StartPoint>& from, Done<void> done);
  // The filter of the topics that a replay gives; `text` is a valid one.
  [[nodiscard]] std::string topics_of_replay(std::string_view text) const;
  // False: there was none. What a shared subscription has given may still be settled.
  bool unsubscribe(Handle subscriber, std::string_view filter);
  [[nodiscard]] bool has_filter(Handle subscriber, std::string_view filter) const;
  void resume(Handle subscriber);  // it can take more
  // Records that a shared subscription gave are done with: acknowledged, refused, or sent to one
  // who does not acknowledge. What is open when the subscriber is removed goes to another member,
  // but for what was kept: that is in the subscriber's stored session, durably.
  void settle(Handle membership, std::span<const std::uint64_t> tickets);
  void keep(Handle membership, std::span<const std::uint64_t> tickets);
  [[nodiscard]] SubscriberState describe(Handle subscriber) const;
  // How many subscribers of this shard have a filter that matches a record of a partition. A shared
  // subscription counts as one, where it has its home.
  [[nodiscard]] std::size_t count_matching(Partition partition, const log::Block& block,
                                           std::uint32_t record) const;

  // --- shared subscriptions that outlive their members
  // Before anybody subscribes, on all shards. Without it none does, but for what it is told here:
  // those of sessions::Groups on the same shard are kept there.
  void set_store(sessions::Groups& groups);
  // As subscribe(), for a filter "$share/..." or "$queue/..." of the stored session of that client,
  // for which the group is kept from `done` on, whoever comes and goes. Errors: those of
  // sessions::Groups; then nothing has changed.
  void subscribe_shared(Handle subscriber, const std::string& filter,
                        const SubscribeOptions& options, const std::string& client_id,
                        Done<void> done);
  // What the session stores of such a subscription; 0: it has none.
  [[nodiscard]] sessions::ShareId share_of(Handle subscriber, std::string_view filter) const;
  [[nodiscard]] bool holds_shares(Handle subscriber) const;
  // Done when the groups that the subscriber holds know, durably, what it has settled and kept so
  // far: a crash gives it to nobody again.
  void save_shares(Handle subscriber, Done<void> done);
  // The same of all groups whose home is this shard.
  void save_groups(Done<void> done);
  // For administrators: of all that are stored or have members, wherever they are (share_state.h);
  // ids are their texts. Errors: those of sessions::Groups.
  void list_shares(const PageQuery& query, Done<Page<ShareSummary>> done);
  void find_share(const std::string& text, Done<std::optional<ShareSummary>> done);
  void show_share(const std::string& text, Done<std::optional<ShareDetails>> done);
  // It is gone, also from disk, and begins anew with whoever subscribes next; false: there was
  // none. Errors, besides: exists while it has members, or a stored session has it; it says whose.
  void remove_share(const std::string& text, Done<bool> done);

  // --- subscribers that outlive their connections
  // Where a subscriber is, for restore(): of each partition that its filters cover (but shared
  // ones) the offset that it is to be offered next. All below was taken, or did not match. A
  // partition whose tail is not known yet is left out. Within on_records(), of whichever
  // subscriber, the block that is handed out counts as not taken by anybody.
  [[nodiscard]] std::vector<Position> positions(Handle subscriber) const;
  // The same of its replays ("$stream/..."), but those whose start is not known yet.
  [[nodiscard]] std::vector<sessions::ReplayPlace> replays(Handle subscriber) const;
  // The retained messages that it has yet to get.
  [[nodiscard]] std::vector<sessions::RetainedRest> retained_rests(Handle subscriber) const;
  // Where the tails of the partitions are that a filter covers, as far as this shard knows: in
  // `done` of subscribe() all of them.
  [[nodiscard]] std::vector<Position> tails(std::string_view filter) const;
  // From where on a filter of the subscriber counts, for restore() together with positions() of the
  // same moment; of a replay where it is.
  [[nodiscard]] std::vector<Position> since(Handle subscriber, std::string_view filter) const;
  // A subscriber as it was: its filters stand, and it goes on at `next` in each partition that they
  // cover. A partition that is not named there was covered later: it begins at the lowest `since`
  // that names it, or, made since, at its start. So does one of a stream that was made anew. An
  // offset beyond what the log still has means its end. Shared filters make it a member again.
  // `rests`: retained messages that it has yet to get; those of a filter that is not there count as
  // none.
  //
  // It gets nothing at all before resume(), and misses nothing that is published from now on.
  // `done` runs when all tails are known.
  Handle restore(SubscriberSink& sink, std::uint64_t session, std::vector<StoredFilter> filters,
                 std::vector<Position> next, const std::vector<sessions::RetainedRest>& rests,
                 Done<void> done);
  // Where restore() would let one go on: of each partition that the filters cover (but shared ones
  // and replays) the offset that it would be offered next, if the log has that still.
  [[nodiscard]] std::vector<Position> restored_positions(std::vector<StoredFilter> filters,
                                                         std::vector<Position> next) const;
  // The same of one of its replays.
  [[nodiscard]] std::vector<Position> restored_replay(const StoredFilter& replay) const;
  // Reads these records again and hands them to `sink` one by one, in this order; then `done` gets
  // how many of them were dealt with. Never within the call, and nothing is called once the
  // subscriber has been removed. What can't be read now is tried again.
  void fetch(Handle subscriber, std::vector<WantedRecord> records, FetchSink& sink,
             Done<std::size_t> done);

  // The traces that are on; faces tell what they see.
  [[nodiscard]] trace::Tracer& tracer() const { return tracer_; }
  // Where a record is, as members of an event.
  void trace_place(Partition partition, Offset offset, JsonObject& line) const;

  // --- one live connection per client id, over all shards
  // Ends an older holder of `client_id` wherever it is: its `evict` runs on its shard, once. When
  // that is done `done` runs here, with Errc::closed if the id was claimed anew or released
  // meanwhile. The id is held until release(), also by what outlives a connection; who releases it
  // without having been evicted has nothing left to save.
  void claim(std::string client_id, std::uint64_t session, Claim claim, Evict evict,
             Done<void> done);
  void release(std::string_view client_id, std::uint64_t session);

  // What the hub says of itself from now on (announcements.h).
  void announce(AnnouncementRef announcement);

  void on_turn_end() override;

 private:
  class Impl;
  runtime::Loop& loop_;
  trace::Tracer& tracer_;
  std::unique_ptr<Impl> impl_;
};

// The hubs of all shards, for what they must ask each other.
class Group {
 public:
  explicit Group(runtime::Mailboxes& mailboxes) : mailboxes_(mailboxes), traces_(mailboxes) {}
  void add(Hub& hub) { hubs_.push_back(&hub); }  // in the order of the shards, before the loops run
  [[nodiscard]] runtime::Mailboxes& mailboxes() { return mailboxes_; }
  [[nodiscard]] trace::Traces& traces() { return traces_; }
  [[nodiscard]] Hub& hub(ShardId shard) { return *hubs_[shard.value]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(hubs_.size()); }

 private:
  runtime::Mailboxes& mailboxes_;
  trace::Traces traces_;
  std::vector<Hub*> hubs_;
};

}  // namespace sluice::hub
