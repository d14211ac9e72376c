#include "delayed/delayed.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "delayed/row.h"

namespace sluice::delayed {

namespace {

constexpr Logger logger("delayed");

constexpr std::string_view table_name = "__delayed";
constexpr std::size_t bytes_max = 4 << 20;
constexpr std::size_t publishing_max = 1024;
constexpr std::size_t rows_per_read = 128;
constexpr WallMs look_again_max = 60'000;
constexpr WallMs retry_delay = 1000;

// It will not be taken later either.
bool is_final(const Error& error) {
  return error.code == Errc::invalid || error.code == Errc::too_large ||
         error.code == Errc::malformed;
}

}  // namespace

Delayed::Delayed(const table::Table::Context& context, hub::Hub& hub,
                 std::shared_ptr<Places> places)
    : loop_(*context.loop),
      hub_(hub),
      context_(context),
      places_(std::move(places)),
      own_slot_(context.shard.value),
      publisher_(hub.add_publisher(*this)),
      waiting_(context.metrics->gauge("sluice_delayed_messages",
                                      "Messages that are to be published later")),
      published_(context.metrics->counter("sluice_delayed_published_total",
                                          "Messages that were published after their delay")),
      dropped_(context.metrics->counter("sluice_messages_dropped_total",
                                        "Messages that were not stored or not delivered",
                                        "protocol=\"mqtt\",reason=\"delayed_not_stored\"")) {
  context.stream->watch_catalogue(*this);
}

Delayed::~Delayed() {
  loop_.cancel(timer_);
  hub_.remove_publisher(publisher_);
}

// --- opening

void Delayed::open(Done<void> done) {
  const bool is_used = context_.stream->catalogue().find(table_name) != nullptr;
  if (!is_used || state_ == State::stopping) return done({});
  open_table([this, done = std::move(done)](Result<void> result) mutable {
    on_opened(result);
    done(std::move(result));
  });
}

// Also when this shard hears of the catalogue piece by piece.
void Delayed::on_stream_added(const stream::StreamInfo& stream) {
  if (stream.name == table_name && state_ == State::closed)
    open_table([this](const Result<void>& result) { on_opened(result); });
}

void Delayed::open_table(Done<void> done) {
  state_ = State::opening;
  table_ = std::make_unique<table::Table>(context_, std::string(table_name));
  table_->open([this, done = std::move(done)](Result<void> opened) mutable {
    if (!opened) return done(std::move(opened));
    on_table_open(std::move(done));
  });
}

void Delayed::on_table_open(Done<void> done) {
  for (std::uint32_t slot = own_slot_; slot < slot_count; slot += context_.shards)
    if (slot == own_slot_ || !table_->empty(slot)) cursors_.push_back({.slot = slot});
  count(0, {}, std::move(done));
}

// What waits there since an earlier life of the hub.
void Delayed::count(std::size_t cursor, std::string from, Done<void> done) {
  if (cursor == cursors_.size()) return done({});
  table_->scan(cursors_[cursor].slot, {.from = std::move(from), .until = {}},
               [this, cursor, done = std::move(done)](Result<table::Portion> portion) mutable {
                 if (!portion) return done(std::unexpected(std::move(portion.error())));
                 on_counted(cursor, *portion, std::move(done));
               });
}

void Delayed::on_counted(std::size_t cursor, const table::Portion& portion, Done<void> done) {
  Cursor& counted = cursors_[cursor];
  if (!portion.rows.empty()) counted.due = std::min(counted.due, due_of(portion.rows.front().key));
  for (const table::Row& row : portion.rows) next_id_ = std::max(next_id_, id_of(row.key) + 1);
  places_->add(portion.rows.size());
  waiting_.add(static_cast<std::int64_t>(portion.rows.size()));
  const std::size_t next = portion.next ? cursor : cursor + 1;
  loop_.post([this, next, from = portion.next.value_or(""), done = std::move(done)]() mutable {
    count(next, std::move(from), std::move(done));
  });
}

void Delayed::on_opened(const Result<void>& result) {
  if (!result) return on_not_opened(result.error());
  if (state_ == State::stopping) return finish_stop();
  state_ = State::open;
  look_soon();
  tell_room();
}

// The next message tries again.
void Delayed::on_not_opened(const Error& error) {
  logger.error("the table of delayed messages can't be opened", {{"reason", error.text}});
  loop_.run_after(std::chrono::milliseconds(retry_delay), [this] {
    table_.reset();
    cursors_.clear();
    if (state_ == State::stopping) return std::exchange(stopped_, nullptr)({});
    state_ = State::closed;
    tell_room();
  });
}

// --- keeping

Result<void> Delayed::publish(const hub::Message& message, std::uint32_t delay_s, Done<void> done) {
  if (state_ == State::stopping) return fail(Errc::closed, "the hub stops");
  if (state_ == State::closed)
    open_table([this](const Result<void>& result) { on_opened(result); });
  if (state_ != State::open || bytes_ >= bytes_max)
    return fail(Errc::busy, "{} bytes of delayed messages are on their way to the log", bytes_);
  if (!places_->take())
    return fail(Errc::out_of_range, "{} delayed messages wait, as many as may", places_->max());
  std::string key = key_of(loop_.wall_ms() + WallMs{delay_s} * 1000, next_id_++);
  Buffer row = encode_row(message);
  const std::size_t size = row.size();
  bytes_ += size;
  table_->put(own_slot_, key, std::move(row),
              [this, key, size, done = std::move(done)](Result<void> result) mutable {
                on_kept(key, size, result);
                done(std::move(result));
              });
  return {};
}

void Delayed::on_kept(const std::string& key, std::size_t size, const Result<void>& result) {
  bytes_ -= size;
  if (result) {
    waiting_.add(1);
    look_at(cursor_of(own_slot_), key, due_of(key));
  } else {
    places_->give_back();
  }
  tell_room();
}

void Delayed::tell_room() {
  if (bytes_ >= bytes_max) return;
  for (Task& task : std::exchange(room_waiters_, {})) task();
}

// --- publishing what is due

Delayed::Cursor& Delayed::cursor_of(std::uint32_t slot) {
  return *std::ranges::find(cursors_, slot, &Cursor::slot);
}

// There is a row that the cursor may have passed.
void Delayed::look_at(Cursor& cursor, const std::string& key, WallMs when) {
  if (cursor.reading) {
    if (cursor.came_back.empty() || key < cursor.came_back) cursor.came_back = key;
    return;
  }
  cursor.next = std::min(cursor.next, key);
  cursor.due = std::min(cursor.due, when);
  arm();
}

void Delayed::look_soon() {
  if (std::exchange(look_posted_, true)) return;
  loop_.post([this] {
    look_posted_ = false;
    look();
  });
}

void Delayed::look() {
  for (std::size_t i = 0; i < cursors_.size(); ++i) {
    const Cursor& cursor = cursors_[i];
    if (state_ == State::open && has_place() && !cursor.reading && cursor.due <= loop_.wall_ms())
      read(i);
  }
  arm();
}

// One timer, for the row that is due first.
void Delayed::arm() {
  if (state_ != State::open || !has_place()) return;
  WallMs first = never;
  for (const Cursor& cursor : cursors_)
    if (!cursor.reading) first = std::min(first, cursor.due);
  if (first == never || (timer_ != runtime::TimerId::none && timer_at_ <= first)) return;
  loop_.cancel(timer_);
  timer_at_ = first;
  const WallMs wait = std::clamp<WallMs>(first - loop_.wall_ms(), 0, look_again_max);
  timer_ = loop_.run_after(std::chrono::milliseconds(wait), [this] {
    timer_ = runtime::TimerId::none;
    look();
  });
}

void Delayed::read(std::size_t at) {
  Cursor& cursor = cursors_[at];
  cursor.reading = true;
  table_->scan(cursor.slot, {.from = cursor.next, .until = {}, .rows_max = rows_per_read},
               [this, at](const Result<table::Portion>& portion) { on_read(at, portion); });
}

void Delayed::on_read(std::size_t at, const Result<table::Portion>& portion) {
  if (state_ != State::open) return;
  Cursor& cursor = cursors_[at];
  cursor.reading = false;
  if (portion) {
    publish_due(cursor, *portion);
  } else {
    logger.warn("delayed messages can't be read; tried again", {{"reason", portion.error().text}});
    cursor.due = loop_.wall_ms() + retry_delay;
  }
  if (const std::string key = std::exchange(cursor.came_back, {}); !key.empty())
    look_at(cursor, key, due_of(key));
  if (cursor.due <= loop_.wall_ms())
    look_soon();
  else
    arm();
}

void Delayed::publish_due(Cursor& cursor, const table::Portion& portion) {
  for (const table::Row& row : portion.rows) {
    cursor.next = row.key;
    const WallMs due = due_of(row.key);
    const auto later = due > loop_.wall_ms() ? due : publish_row(cursor.slot, row);
    if (later) {
      cursor.due = *later;
      return;
    }
    cursor.next = table::key_after(row.key);
  }
  cursor.due = portion.next ? 0 : never;
  if (portion.next) cursor.next = *portion.next;
}

// Nothing: it is done with, or under way; else when to look at it again.
std::optional<WallMs> Delayed::publish_row(std::uint32_t slot, const table::Row& row) {
  if (publishing_keys_.contains(row.key)) return std::nullopt;
  const auto decoded = decode_row(row.value);
  if (!decoded) {
    drop(slot, row.key, decoded.error());
    return std::nullopt;
  }
  if (!has_place()) return 0;
  const hub::Message message = message_of(*decoded, properties_);
  const auto taken = hub_.publish(publisher_, ++sequence_, message);
  if (!taken) return on_refused(slot, row, taken.error());
  published_.add();
  if (message.qos == 0) {  // nobody says what becomes of it
    remove(slot, row.key);
  } else {
    publishing_.emplace(sequence_, RowName{slot, row.key});
    publishing_keys_.insert(row.key);
  }
  return std::nullopt;
}

std::optional<WallMs> Delayed::on_refused(std::uint32_t slot, const table::Row& row,
                                          const Error& error) {
  if (is_final(error)) {
    drop(slot, row.key, error);
    return std::nullopt;
  }
  if (error.code != Errc::busy) return loop_.wall_ms() + retry_delay;
  if (!std::exchange(waits_for_room_, true)) hub_.wait_for_room(publisher_);
  return 0;
}

bool Delayed::has_place() const { return publishing_.size() < publishing_max && !waits_for_room_; }

void Delayed::on_room() {
  waits_for_room_ = false;
  look_soon();
}

void Delayed::on_published(std::uint64_t up_to) {
  while (!publishing_.empty() && publishing_.begin()->first <= up_to) {
    const RowName row = std::move(publishing_.extract(publishing_.begin()).mapped());
    publishing_keys_.erase(row.key);
    remove(row.slot, row.key);
  }
  finish_stop();
  look_soon();
}

void Delayed::on_publish_failed(std::uint64_t sequence, const Error& error) {
  const auto failed = publishing_.extract(sequence);
  if (!failed) return;
  const RowName& row = failed.mapped();
  publishing_keys_.erase(row.key);
  if (is_final(error))
    drop(row.slot, row.key, error);
  else
    look_at(cursor_of(row.slot), row.key, loop_.wall_ms() + retry_delay);
  finish_stop();
}

void Delayed::remove(std::uint32_t slot, const std::string& key) {
  table_->put_behind(slot, key, std::nullopt);
  places_->give_back();
  waiting_.add(-1);
}

void Delayed::drop(std::uint32_t slot, const std::string& key, const Error& error) {
  remove(slot, key);
  dropped_.add();
  if (log_limit_.allow(loop_.wall_ms()))
    logger.error("a delayed message can't be published", {{"reason", error.text}});
}

// --- stopping

void Delayed::stop(Done<void> done) {
  const State was = std::exchange(state_, State::stopping);
  loop_.cancel(std::exchange(timer_, runtime::TimerId::none));
  if (was == State::closed) return done({});
  stopped_ = std::move(done);
  if (was == State::open) finish_stop();
}

// What was published and is not known to be durable keeps its row.
void Delayed::finish_stop() {
  if (state_ != State::stopping || !stopped_ || !publishing_.empty()) return;
  table_->stop(std::exchange(stopped_, nullptr));
}

}  // namespace sluice::delayed
