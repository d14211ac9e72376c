#include "sessions/rows.h"

#include <utility>

#include "base/logger.h"

namespace sluice::sessions {
namespace {

constexpr Logger logger("sessions");
constexpr std::size_t reads_max = 2048;  // half of a table's: it has other readers, too

}  // namespace

Rows::Rows(table::Table& table, Metrics& metrics)
    : table_(table),
      unreadable_(metrics.counter("sluice_sessions_unreadable_rows_total",
                                  "Rows of stored sessions that could not be read")) {}

void Rows::put(std::uint32_t slot, std::string key, std::optional<Buffer> value, Done<void> done) {
  Slot& of = slots_[slot];
  ++of.put;
  table_.put(slot, std::move(key), std::move(value),
             [this, &of, done = std::move(done)](Result<void> result) mutable {
               on_answer(of, result || result.error().code != Errc::busy);
               done(std::move(result));
             });
}

void Rows::put_behind(std::uint32_t slot, std::string key, std::optional<Buffer> value) {
  table_.put_behind(slot, std::move(key), std::move(value));
}

bool Rows::empty(std::uint32_t slot) const {
  return table_.empty(slot) && slots_[slot].put == slots_[slot].answered;
}

// A table answers the puts of a slot in their order, but says at once that it is busy.
void Rows::on_answer(Slot& slot, bool was_taken) {
  if (!was_taken) {
    --slot.put;
    return;
  }
  ++slot.answered;
  while (!slot.waiting.empty() && slot.waiting.front().first <= slot.answered) {
    Task task = std::move(slot.waiting.front().second);
    slot.waiting.pop_front();
    task();
  }
}

void Rows::when_settled(std::uint32_t slot, Task task) {
  Slot& of = slots_[slot];
  if (of.answered == of.put) return task();
  of.waiting.emplace_back(of.put, std::move(task));
}

void Rows::begin_read(Task read) {
  reads_waiting_.push_back(std::move(read));
  begin_reads();
}

// A table may answer at once: what begins or ends meanwhile is seen to by the loop.
void Rows::begin_reads() {
  if (std::exchange(beginning_, true)) return;
  while (reading_ < reads_max && !reads_waiting_.empty()) {
    Task read = std::move(reads_waiting_.front());
    reads_waiting_.pop_front();
    ++reading_;
    read();
  }
  beginning_ = false;
}

void Rows::end_read() {
  --reading_;
  begin_reads();
}

void Rows::get(const std::string& client_id, std::string key, Done<std::optional<Buffer>> done) {
  begin_read([this, slot = slot_of_client(client_id), key = std::move(key),
              done = std::move(done)]() mutable {
    table_.get(slot, std::move(key),
               [this, done = std::move(done)](Result<std::optional<Buffer>> row) mutable {
                 done(std::move(row));
                 end_read();
               });
  });
}

void Rows::scan(std::uint32_t slot, table::Range range, Done<table::Portion> done) {
  begin_read([this, slot, range = std::move(range), done = std::move(done)]() mutable {
    table_.scan(slot, std::move(range),
                [this, done = std::move(done)](Result<table::Portion> portion) mutable {
                  done(std::move(portion));
                  end_read();
                });
  });
}

void Rows::load_meta(const std::string& client_id, Done<std::optional<Meta>> done) {
  get(client_id, meta_key(client_id),
      [this, client_id, done = std::move(done)](Result<std::optional<Buffer>> row) mutable {
        if (!row) return done(std::unexpected(std::move(row.error())));
        if (!*row) return done(std::nullopt);
        auto meta = decode_meta(**row);
        if (meta) return done(std::move(*meta));
        note_unreadable(client_id, meta.error());
        done(std::nullopt);
      });
}

void Rows::load_progress(const std::string& client_id, Uid uid, Done<Progress> done) {
  get(client_id, progress_key(client_id),
      [this, client_id, uid, done = std::move(done)](Result<std::optional<Buffer>> row) mutable {
        if (!row) return done(std::unexpected(std::move(row.error())));
        if (!*row) return done(Progress{});
        auto progress = decode_progress(**row);
        if (!progress) note_unreadable(client_id, progress.error());
        done(progress && progress->uid == uid ? std::move(progress->value) : Progress{});
      });
}

void Rows::load_filter(const std::string& client_id, Uid uid, const std::string& text,
                       Done<std::optional<Filter>> done) {
  get(client_id, filter_key(client_id, text),
      [this, client_id, uid, text,
       done = std::move(done)](Result<std::optional<Buffer>> row) mutable {
        if (!row) return done(std::unexpected(std::move(row.error())));
        if (!*row) return done(std::nullopt);
        auto filter = decode_filter(text, **row);
        if (!filter) note_unreadable(client_id, filter.error());
        if (!filter || filter->uid != uid) return done(std::nullopt);
        done(std::move(filter->value));
      });
}

struct Rows::FilterScan {
  std::string client_id;
  Uid uid;
  Scanned scanned;
  std::vector<std::string> stale;  // keys of rows that go, all at once
  std::string from;
  std::string until;
  Done<Scanned> done;
};

void Rows::load_filters(const std::string& client_id, Uid uid, Done<std::vector<Filter>> done) {
  start_scan(client_id, uid, [this, done = std::move(done)](Result<Scanned> scanned) mutable {
    if (!scanned) return done(std::unexpected(std::move(scanned.error())));
    tell_gone(scanned->shares_gone);
    done(std::move(scanned->found));
  });
}

void Rows::start_scan(const std::string& client_id, Uid uid, Done<Scanned> done) {
  KeyRange range = filters_of(client_id);
  scan_filters(std::make_shared<FilterScan>(FilterScan{
      client_id, uid, {}, {}, std::move(range.from), std::move(range.until), std::move(done)}));
}

void Rows::scan_filters(const std::shared_ptr<FilterScan>& scan) {
  const std::uint32_t slot = slot_of_client(scan->client_id);
  this->scan(slot, {.from = scan->from, .until = scan->until},
             [this, slot, scan](Result<table::Portion> portion) {
               if (!portion) return scan->done(std::unexpected(std::move(portion.error())));
               for (const table::Row& row : portion->rows) {
                 auto filter = decode_filter(filter_in_key(scan->client_id, row.key), row.value);
                 if (filter && filter->uid == scan->uid) {
                   scan->scanned.found.push_back(std::move(filter->value));
                   continue;
                 }
                 if (!filter)
                   note_unreadable(scan->client_id, filter.error());
                 else if (filter->value.share != 0)
                   scan->scanned.shares_gone.push_back(std::move(filter->value));
                 scan->stale.push_back(row.key);
               }
               if (portion->next) {
                 scan->from = std::move(*portion->next);
                 return scan_filters(scan);
               }
               for (std::string& key : scan->stale) put_behind(slot, std::move(key), std::nullopt);
               scan->done(std::move(scan->scanned));
             });
}

// The filters go in the same turn, so with one batch.
void Rows::erase(const std::string& client_id, std::optional<Buffer> meta, Done<void> done) {
  constexpr Uid none = 0;
  start_scan(client_id, none,
             [this, client_id, meta = std::move(meta),
              done = std::move(done)](Result<Scanned> scanned) mutable {
               if (!scanned) return done(std::unexpected(std::move(scanned.error())));
               const std::uint32_t slot = slot_of_client(client_id);
               const Together together(2, [this, gone = std::move(scanned->shares_gone),
                                           done = std::move(done)](Result<void> result) mutable {
                 if (result) tell_gone(gone);
                 done(std::move(result));
               });
               put(slot, progress_key(client_id), std::nullopt, together.answer());
               put(slot, meta_key(client_id), std::move(meta), together.answer());
             });
}

void Rows::load_group(const std::string& text, Done<std::optional<GroupState>> done) {
  get(text, group_key(text),
      [this, text, done = std::move(done)](Result<std::optional<Buffer>> row) mutable {
        if (!row) return done(std::unexpected(std::move(row.error())));
        if (!*row) return done(std::nullopt);
        auto state = decode_group(**row);
        if (state) return done(std::move(*state));
        note_unreadable(text, state.error());
        done(std::nullopt);
      });
}

void Rows::tell_share_gone(const std::string& text, ShareId share) const {
  if (on_share_gone_) on_share_gone_(text, share);
}

void Rows::tell_gone(const std::vector<Filter>& shares) const {
  for (const Filter& filter : shares) tell_share_gone(filter.text, filter.share);
}

void Rows::note_unreadable(std::string_view of, const Error& error) {
  unreadable_.add();
  logger.error("a row of a stored session can't be read; it counts as not there",
               {{"of", of}, {"error", error.text}});
}

}  // namespace sluice::sessions
