#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/task.h"
#include "sessions/evidence.h"
#include "sessions/groups.h"
#include "sessions/lanes.h"
#include "sessions/record.h"
#include "sessions/rows.h"
#include "sessions/sessions.h"

namespace sluice::sessions {

// The sessions of one shard: what happens to them, as changes of their rows. The calls are those of
// Sessions, for client ids whose home is here.
//
// What reads rows before it changes them (connect, disconnect, look) is done one at a time for each
// client id, and when all that was put before is durable.
class Home {
 public:
  Home(const Place& place, Metrics& metrics, Random random);

  void set_on_will(Sessions::OnWill on_will) { on_will_ = std::move(on_will); }
  // The process begins to serve: what others have left "connected" is gone since now.
  void start() { started_at_ = place_.loop->wall_ms(); }
  // All evidence of all shards. Sessions that a crash has cut off wait for it.
  void set_seen(SeenRef seen);

  void connect(Opening opening, Done<Opened> done);
  void put_filter(const std::string& client_id, Uid uid, const Filter& filter, Done<void> done);
  void erase_filter(const std::string& client_id, const std::string& text, ShareId share,
                    Done<void> done);
  void save_behind(const std::string& client_id, Uid uid, const Progress& progress);
  void save(const std::string& client_id, Uid uid, const Progress& progress, Done<void> done);
  void disconnect(const std::string& client_id, Uid uid, std::uint32_t expiry_s, bool keep_will,
                  Progress progress, Done<void> done);
  void erase_will(const std::string& client_id, Uid uid);

  // What look() has to do for a session with this row.
  enum class Need : std::uint8_t { nothing, adopting, removing };
  [[nodiscard]] Need need_of(const Meta& meta) const;
  // Sees to what an earlier process has left, after set_seen(); or removes the session if it is
  // expired. Errors: those of Table::get.
  void look(const std::string& client_id, Done<void> done);
  void show(const std::string& client_id, Done<std::optional<Details>> done);
  void remove(const std::string& client_id, Done<bool> done);
  // Of a shared subscription that the client's session may have.
  void inspect(const std::string& client_id, const std::string& text, ShareId share,
               Done<Groups::Part> done);
  void set_stored(std::int64_t sessions) { stored_.set(sessions); }  // they were counted

  [[nodiscard]] Rows& rows() { return rows_; }

 private:
  struct Arrival;
  using ArrivalRef = std::shared_ptr<Arrival>;
  using OnMeta = std::move_only_function<void(Result<std::optional<Meta>>)>;

  // In the client's lane, with its row as it is once all that was put is durable.
  void enter(const std::string& client_id, OnMeta work);

  void on_arrival(const ArrivalRef& arrival, Result<std::optional<Meta>> found);
  void begin(const ArrivalRef& arrival, bool replaces);
  void resume(const ArrivalRef& arrival);
  void load(const ArrivalRef& arrival);
  void put_resumed(const ArrivalRef& arrival);
  void finish(const ArrivalRef& arrival, const Result<void>& result);
  [[nodiscard]] Buffer connected_row(const Arrival& arrival) const;
  [[nodiscard]] bool is_foreign(const Meta& meta) const { return meta.process != process_; }
  void adopt(Meta& meta) const;

  void take_over(const std::string& client_id, Meta meta, Done<void> done);
  void remove_expired(const std::string& client_id, Done<void> done);
  void give_will(const std::string& client_id, Uid uid, std::optional<Will> will, WallMs due) const;

  const Place& place_;
  Rows rows_;
  Lanes lanes_;
  Random random_;
  const std::uint64_t process_;
  Counter& expired_;
  Gauge& stored_;
  Sessions::OnWill on_will_;
  WallMs started_at_ = 0;
  SeenRef seen_;
  std::vector<Task> waiting_for_seen_;
};

}  // namespace sluice::sessions
