#include "sessions/home.h"

#include <algorithm>
#include <utility>

#include "sessions/listing.h"

namespace sluice::sessions {
namespace {

// Not made where it is used: GCC 12 then warns of the error that is not there.
const Result<void> fine;

Uid new_uid(Random& random) {
  Uid uid = 0;
  while (uid == 0) uid = random.next() & ~Uid{1};
  return uid;
}

// A will goes when its delay is over or the session, whichever is first (MQTT 5, section 3.1.3.2).
WallMs due_of(const Meta& meta) {
  return meta.left.gone_at +
         std::int64_t{std::min(meta.will->delay_s, meta.left.expiry_s)} * std::int64_t{1000};
}

}  // namespace

Home::Home(const Place& place, Metrics& metrics, Random random)
    : place_(place),
      rows_(*place.table, metrics),
      random_(random),
      process_(random_.next()),
      expired_(metrics.counter("sluice_sessions_expired_total",
                               "Stored sessions removed because their time was over")),
      stored_(metrics.gauge("sluice_sessions",
                            "Stored sessions, as counted by the latest pass through them")) {}

void Home::set_seen(SeenRef seen) {
  seen_ = std::move(seen);
  for (Task& task : std::exchange(waiting_for_seen_, {})) task();
}

void Home::enter(const std::string& client_id, OnMeta work) {
  lanes_.enter(client_id, [this, client_id, work = std::move(work)]() mutable {
    rows_.when_settled(slot_of_client(client_id),
                       [this, client_id, work = std::move(work)]() mutable {
                         rows_.load_meta(client_id, std::move(work));
                       });
  });
}

void Home::adopt(Meta& meta) const {
  if (!is_foreign(meta)) return;
  meta.process = process_;
  if (!std::exchange(meta.connected, false)) return;
  meta.crashed = true;
  meta.left.gone_at = started_at_;
}

void Home::give_will(const std::string& client_id, Uid uid, std::optional<Will> will,
                     WallMs due) const {
  if (will && on_will_) on_will_(client_id, uid, std::move(*will), due);
}

// --- connect

struct Home::Arrival {
  Opening opening;
  Done<Opened> done;
  Opened opened{};
  bool cut_off = false;        // by a crash, and nobody has looked at it since
  std::optional<Will> will{};  // of the connection before, if it is to be published
  WallMs will_due = 0;
  Uid will_uid = 0;
};

void Home::connect(Opening opening, Done<Opened> done) {
  // Most clients store nothing, and there are hubs where none does.
  if (opening.expiry_s == 0 && rows_.empty(slot_of_client(opening.client_id)))
    return done(Opened{});
  const auto arrival = std::make_shared<Arrival>(Arrival{std::move(opening), std::move(done)});
  enter(arrival->opening.client_id, [this, arrival](Result<std::optional<Meta>> found) {
    on_arrival(arrival, std::move(found));
  });
}

void Home::on_arrival(const ArrivalRef& arrival, Result<std::optional<Meta>> found) {
  if (!found) return finish(arrival, std::unexpected(std::move(found.error())));
  if (!*found) return begin(arrival, false);
  Meta& meta = **found;
  const bool foreign = is_foreign(meta);
  arrival->cut_off = foreign && meta.connected;
  adopt(meta);
  const WallMs now = place_.loop->wall_ms();
  const bool ends = arrival->opening.clean || (!meta.connected && meta.left.expired(now));
  // Of the wills that this process has seen before, the front end knows.
  if (foreign && meta.will && (ends || due_of(meta) <= now)) {
    arrival->will_due = std::min(due_of(meta), now);
    arrival->will_uid = meta.uid;
    arrival->will = std::move(meta.will);
  }
  if (ends) return begin(arrival, true);
  arrival->opened.present = true;
  // One that this process calls connected has failed to say that it went.
  arrival->opened.crashed = meta.crashed || meta.connected;
  arrival->opened.uid = meta.uid;
  resume(arrival);
}

void Home::begin(const ArrivalRef& arrival, bool replaces) {
  const bool is_stored = arrival->opening.expiry_s > 0;
  if (!is_stored && !replaces) return finish(arrival, {});
  std::optional<Buffer> row;
  if (is_stored) {
    arrival->opened.uid = new_uid(random_);
    row = connected_row(*arrival);
  }
  const std::string& client_id = arrival->opening.client_id;
  auto done = [this, arrival, change = int{is_stored} - int{replaces}](Result<void> result) {
    if (result) stored_.add(change);
    finish(arrival, result);
  };
  if (replaces) return rows_.erase(client_id, std::move(row), std::move(done));
  rows_.put(slot_of_client(client_id), meta_key(client_id), std::move(row), std::move(done));
}

void Home::resume(const ArrivalRef& arrival) {
  if (!arrival->cut_off || seen_) return load(arrival);
  waiting_for_seen_.push_back([this, arrival] { load(arrival); });
}

void Home::load(const ArrivalRef& arrival) {
  const std::string& client_id = arrival->opening.client_id;
  const Uid uid = arrival->opened.uid;
  rows_.load_progress(client_id, uid, [this, arrival, &client_id, uid](Result<Progress> progress) {
    if (!progress) return finish(arrival, std::unexpected(std::move(progress.error())));
    arrival->opened.progress = std::move(*progress);
    rows_.load_filters(client_id, uid, [this, arrival](Result<std::vector<Filter>> filters) {
      if (!filters) return finish(arrival, std::unexpected(std::move(filters.error())));
      arrival->opened.filters = std::move(*filters);
      put_resumed(arrival);
    });
  });
}

void Home::put_resumed(const ArrivalRef& arrival) {
  const std::string& client_id = arrival->opening.client_id;
  const std::uint32_t slot = slot_of_client(client_id);
  Opened& opened = arrival->opened;
  const bool has_news = arrival->cut_off && absorb(*seen_, opened.uid, opened.progress);
  const Together together(has_news ? 2 : 1,
                          [this, arrival](const Result<void>& result) { finish(arrival, result); });
  if (has_news)
    rows_.put(slot, progress_key(client_id), encode_progress(opened.uid, opened.progress),
              together.answer());
  rows_.put(slot, meta_key(client_id), connected_row(*arrival), together.answer());
}

Buffer Home::connected_row(const Arrival& arrival) const {
  return encode_meta({.uid = arrival.opened.uid,
                      .process = process_,
                      .connected = true,
                      .left = {.gone_at = 0, .expiry_s = arrival.opening.expiry_s},
                      .will = arrival.opening.will});
}

void Home::finish(const ArrivalRef& arrival, const Result<void>& result) {
  const std::string& client_id = arrival->opening.client_id;
  if (result) {
    give_will(client_id, arrival->will_uid, std::move(arrival->will), arrival->will_due);
    arrival->done(std::move(arrival->opened));
  } else {
    arrival->done(std::unexpected(result.error()));
  }
  lanes_.leave(client_id);
}

// --- while it is connected

void Home::put_filter(const std::string& client_id, Uid uid, const Filter& filter,
                      Done<void> done) {
  rows_.put(slot_of_client(client_id), filter_key(client_id, filter.text),
            encode_filter(uid, filter), std::move(done));
}

void Home::erase_filter(const std::string& client_id, const std::string& text, ShareId share,
                        Done<void> done) {
  rows_.put(slot_of_client(client_id), filter_key(client_id, text), std::nullopt,
            [this, text, share, done = std::move(done)](Result<void> erased) mutable {
              if (erased && share != 0) rows_.tell_share_gone(text, share);
              done(std::move(erased));
            });
}

void Home::save_behind(const std::string& client_id, Uid uid, const Progress& progress) {
  rows_.put_behind(slot_of_client(client_id), progress_key(client_id),
                   encode_progress(uid, progress));
}

void Home::save(const std::string& client_id, Uid uid, const Progress& progress, Done<void> done) {
  rows_.put(slot_of_client(client_id), progress_key(client_id), encode_progress(uid, progress),
            std::move(done));
}

// --- disconnect

void Home::disconnect(const std::string& client_id, Uid uid, std::uint32_t expiry_s, bool keep_will,
                      Progress progress, Done<void> done) {
  enter(client_id, [this, client_id, uid, expiry_s, keep_will, progress = std::move(progress),
                    done = std::move(done)](Result<std::optional<Meta>> found) mutable {
    auto leave = [this, client_id, done = std::move(done)](Result<void> result) mutable {
      done(std::move(result));
      lanes_.leave(client_id);
    };
    if (!found) return leave(std::unexpected(std::move(found.error())));
    if (!*found || (*found)->uid != uid) return leave(fine);  // it was removed
    if (expiry_s == 0) {
      return rows_.erase(client_id, std::nullopt,
                         [this, leave = std::move(leave)](Result<void> result) mutable {
                           if (result) stored_.add(-1);
                           leave(std::move(result));
                         });
    }
    const Meta gone{.uid = uid,
                    .process = process_,
                    .left = {.gone_at = place_.loop->wall_ms(), .expiry_s = expiry_s},
                    .will = keep_will ? std::move((*found)->will) : std::nullopt};
    const Together together(2, std::move(leave));
    save(client_id, uid, progress, together.answer());
    rows_.put(slot_of_client(client_id), meta_key(client_id), encode_meta(gone), together.answer());
  });
}

void Home::erase_will(const std::string& client_id, Uid uid) {
  enter(client_id, [this, client_id, uid](Result<std::optional<Meta>> found) {
    if (found && *found && (*found)->uid == uid && !(*found)->connected && (*found)->will) {
      Meta& meta = **found;
      meta.will.reset();
      rows_.put_behind(slot_of_client(client_id), meta_key(client_id), encode_meta(meta));
    }
    lanes_.leave(client_id);
  });
}

// --- sessions without a client

Home::Need Home::need_of(const Meta& meta) const {
  if (is_foreign(meta) && (meta.connected || meta.will)) return Need::adopting;
  if (!meta.connected && meta.left.expired(place_.loop->wall_ms())) return Need::removing;
  return Need::nothing;
}

void Home::look(const std::string& client_id, Done<void> done) {
  enter(client_id,
        [this, client_id, done = std::move(done)](Result<std::optional<Meta>> found) mutable {
          auto leave = [this, client_id, done = std::move(done)](Result<void> result) mutable {
            done(std::move(result));
            lanes_.leave(client_id);
          };
          if (!found) return leave(std::unexpected(std::move(found.error())));
          const Need need = *found ? need_of(**found) : Need::nothing;
          if (need == Need::adopting)
            return take_over(client_id, std::move(**found), std::move(leave));
          if (need == Need::removing) return remove_expired(client_id, std::move(leave));
          leave(fine);
        });
}

// Its row says from now on what a crash has made of it, and with evidence its progress does.
void Home::take_over(const std::string& client_id, Meta meta, Done<void> done) {
  const bool cut_off = meta.connected && seen_->contains(meta.uid);
  adopt(meta);
  auto put = [this, client_id, meta](Progress* progress) {
    const std::uint32_t slot = slot_of_client(client_id);
    if (progress && absorb(*seen_, meta.uid, *progress))
      save_behind(client_id, meta.uid, *progress);
    rows_.put_behind(slot, meta_key(client_id), encode_meta(meta));
    if (meta.will) give_will(client_id, meta.uid, meta.will, due_of(meta));
  };
  if (!cut_off) {
    put(nullptr);
    return done({});
  }
  rows_.load_progress(
      client_id, meta.uid,
      [put = std::move(put), done = std::move(done)](Result<Progress> progress) mutable {
        if (!progress) return done(std::unexpected(std::move(progress.error())));
        put(&*progress);
        done({});
      });
}

void Home::remove_expired(const std::string& client_id, Done<void> done) {
  rows_.erase(client_id, std::nullopt, [this, done = std::move(done)](Result<void> result) mutable {
    if (result) {
      expired_.add();
      stored_.add(-1);
    }
    done(std::move(result));
  });
}

// --- for administrators

void Home::show(const std::string& client_id, Done<std::optional<Details>> done) {
  enter(client_id, [this, client_id,
                    done = std::move(done)](Result<std::optional<Meta>> found) mutable {
    auto leave = [this, client_id,
                  done = std::move(done)](Result<std::optional<Details>> result) mutable {
      done(std::move(result));
      lanes_.leave(client_id);
    };
    if (!found) return leave(std::unexpected(std::move(found.error())));
    if (!*found) return leave(std::nullopt);
    const Uid uid = (*found)->uid;
    const auto details = std::make_shared<Details>(Details{summary_of(client_id, **found)});
    rows_.load_progress(
        client_id, uid,
        [this, client_id, uid, details,
         leave = std::move(leave)](Result<Progress> progress) mutable {
          if (!progress) return leave(std::unexpected(std::move(progress.error())));
          details->progress = std::move(*progress);
          rows_.load_filters(
              client_id, uid,
              [details, leave = std::move(leave)](Result<std::vector<Filter>> filters) mutable {
                if (!filters) return leave(std::unexpected(std::move(filters.error())));
                details->filters = std::move(*filters);
                leave(std::move(*details));
              });
        });
  });
}

void Home::remove(const std::string& client_id, Done<bool> done) {
  enter(client_id,
        [this, client_id, done = std::move(done)](Result<std::optional<Meta>> found) mutable {
          auto leave = [this, client_id, done = std::move(done)](Result<bool> result) mutable {
            done(std::move(result));
            lanes_.leave(client_id);
          };
          if (!found) return leave(std::unexpected(std::move(found.error())));
          if (!*found) return leave(false);
          Meta& meta = **found;
          if (meta.connected && !is_foreign(meta))
            return leave(fail(Errc::exists, "client '{}' is connected", client_id));
          std::optional<Will> will;  // the session ends, so it is due
          if (is_foreign(meta)) will = std::move(meta.will);
          rows_.erase(client_id, std::nullopt,
                      [this, client_id, uid = meta.uid, will = std::move(will),
                       leave = std::move(leave)](const Result<void>& erased) mutable {
                        if (!erased) return leave(std::unexpected(erased.error()));
                        stored_.add(-1);
                        give_will(client_id, uid, std::move(will), place_.loop->wall_ms());
                        leave(true);
                      });
        });
}

// --- for groups

void Home::inspect(const std::string& client_id, const std::string& text, ShareId share,
                   Done<Groups::Part> done) {
  enter(client_id, [this, client_id, text, share,
                    done = std::move(done)](Result<std::optional<Meta>> found) mutable {
    auto leave = [this, client_id, done = std::move(done)](Result<Groups::Part> part) mutable {
      done(std::move(part));
      lanes_.leave(client_id);
    };
    if (!found) return leave(std::unexpected(std::move(found.error())));
    if (!*found) return leave(Groups::Part{});
    const Uid uid = (*found)->uid;
    rows_.load_filter(client_id, uid, text,
                      [this, client_id, uid, text, share,
                       leave = std::move(leave)](Result<std::optional<Filter>> filter) mutable {
                        if (!filter) return leave(std::unexpected(std::move(filter.error())));
                        const bool holds = *filter && (*filter)->share == share;
                        rows_.load_progress(
                            client_id, uid,
                            [mark = group_mark(text), holds,
                             leave = std::move(leave)](const Result<Progress>& progress) mutable {
                              if (!progress) return leave(std::unexpected(progress.error()));
                              Groups::Part part{.holds = holds};
                              for (const InFlight& message : progress->in_flight)
                                if (message.group == mark) part.taken.push_back(message.position);
                              leave(std::move(part));
                            });
                      });
  });
}

}  // namespace sluice::sessions
