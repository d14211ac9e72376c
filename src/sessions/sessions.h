#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/page.h"
#include "base/page_query.h"
#include "base/random.h"
#include "base/task.h"
#include "runtime/mailbox.h"
#include "sessions/record.h"
#include "table/table.h"

namespace sluice::sessions {

// Who comes, and with what.
struct Opening {
  std::string client_id{};
  bool clean = true;
  std::uint32_t expiry_s = 0;
  std::optional<Will> will{};
};

// What is there of the client's session.
struct Opened {
  bool present = false;
  // It was connected when the hub went down: more may have happened than was saved.
  bool crashed = false;
  Uid uid = 0;  // 0: nothing is stored
  std::vector<Filter> filters{};
  Progress progress{};
};

// For administrators: a session without what is in its other rows.
struct Summary {
  std::string client_id{};
  Uid uid = 0;
  bool connected = false;
  bool crashed = false;  // as of Meta
  Left left{};           // gone_at is 0 while connected
  bool has_will = false;
  friend bool operator==(const Summary&, const Summary&) = default;
};

struct Details {
  Summary summary{};
  std::vector<Filter> filters{};
  Progress progress{};  // as it was saved
};

class Sessions;
class Groups;

// The sessions of all shards, for what they must ask each other. Complete before the loops run.
class Group {
 public:
  explicit Group(runtime::Mailboxes& mailboxes) : mailboxes_(mailboxes) {}
  void add(Sessions& sessions) { shards_.push_back(&sessions); }  // in the order of the shards
  [[nodiscard]] runtime::Mailboxes& mailboxes() { return mailboxes_; }
  [[nodiscard]] Sessions& on(ShardId shard) { return *shards_[shard.value]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(shards_.size()); }

 private:
  runtime::Mailboxes& mailboxes_;
  std::vector<Sessions*> shards_;
};

// MQTT sessions that outlive their connections: rows of the table `__sessions`, in the slot of
// their client id (slot_of_client). Nothing of a session is in memory here.
//
// Shard:   all calls and callbacks on its loop, for any client id: they go to its home by mailbox.
//          Calls of one shard for one client id take effect in their order.
// Order:   who lets connections of a client id in one after the other (hub::Directory) does so when
//          disconnect() of the older one is done. connect() sees all that was put before it.
// Failure: errors are those of the table (busy, disk_full, io, corrupt; closed after stop()), and
//          then nothing was changed; the caller refuses the client. A row that can't be decoded
//          counts as not there, is logged and counted.
// Format:  docs/formats/sessions.md
class Sessions {
 public:
  // Told on the home of the client id of wills that an earlier process of the hub left: to be
  // published at `due` (which may have passed), then erase_will(). They come at most 1,000 at a
  // time, ten times a second. A connection of the client cancels or hastens those that wait, as
  // MQTT says; those of which nobody was told yet are seen to here.
  using OnWill = std::function<void(const std::string& client_id, Uid uid, Will will, WallMs due)>;
  // Waits until everything that the shard has published so far is answered, saves the progress of
  // its sessions that was not saved, and runs `done` when that is durable. One at a time.
  using Flush = std::function<void(Task done)>;

  Sessions(Group& group, const table::Table::Context& context, Random random);
  ~Sessions();

  // Before open(). Without them wills are dropped, and nothing is waited for.
  void set_on_will(OnWill on_will);
  void set_flush(Flush flush);

  // Before `done`, on all shards, no other call is allowed. Errors: those of Table::open and
  // Table::scan.
  void open(Done<void> done);
  // What was put is durable, and a restart has nothing to search. After the front end has ended all
  // connections on all shards; on shard 0 first, then on the others.
  void stop(Done<void> done);

  // Begins a life of the client's session or goes on with the one that is there; of one that is
  // expired, or not wanted (clean), all rows go. When done a crash finds what was opened. With
  // expiry 0 and nothing there nothing is written.
  void connect(Opening opening, Done<Opened> done);
  // Of a life that connect() has opened and disconnect() has not ended. Done when durable.
  void put_filter(const std::string& client_id, Uid uid, Filter filter, Done<void> done);
  void erase_filter(const std::string& client_id, Uid uid, std::string text, ShareId share,
                    Done<void> done);
  void save(const std::string& client_id, Uid uid, Progress progress);  // durable some time later
  void save(const std::string& client_id, Uid uid, Progress progress, Done<void> done);
  // The client went; the session stays for `expiry_s`, its will if that is yet to be published.
  // Expiry 0: all rows go. Done when durable.
  void disconnect(const std::string& client_id, Uid uid, std::uint32_t expiry_s, bool keep_will,
                  Progress progress, Done<void> done);
  // The will that waited was published; some time later it is gone from the row, too. Nothing if
  // the client is back.
  void erase_will(const std::string& client_id, Uid uid);

  // Of the shared subscriptions whose home is this shard. Their members are kept account of: with a
  // session, or a filter of it, its share goes.
  [[nodiscard]] Groups& groups();

  // For administrators; sessions are read a portion at a time, so who comes and goes meanwhile may
  // be missed.
  void list(PageQuery query, Done<Page<Summary>> done);
  void show(const std::string& client_id, Done<std::optional<Details>> done);  // nothing: not there
  // Ends the session of a client that is not connected. False: there is none. Errors, besides those
  // above: exists while the client is connected.
  void remove(const std::string& client_id, Done<bool> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::sessions
