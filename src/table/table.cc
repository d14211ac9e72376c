#include "table/table.h"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include "base/assert.h"
#include "base/logger.h"
#include "log/helper.h"
#include "log/record_batch.h"
#include "table/folder.h"
#include "table/merge.h"
#include "table/slot.h"
#include "table/store.h"
#include "table/store_writer.h"

namespace sluice::table {
namespace {

constexpr Logger logger("table");

constexpr auto behind_delay = std::chrono::milliseconds(100);
constexpr auto retry_delay = std::chrono::seconds(1);         // of a batch that the stream refused
constexpr auto lookup_delay = std::chrono::milliseconds(10);  // for a stream another shard makes
constexpr std::size_t behind_max = 1 << 20;  // bytes of a slot put behind; beyond: at once
constexpr std::size_t batch_size_max = 8 << 20;
constexpr std::size_t waiting_max = 16 << 20;  // bytes put and not durable, or not stored: busy
constexpr std::size_t reads_max = 4096;        // under way; beyond: busy
constexpr std::size_t expanded_max = 64 << 20;

stream::StreamConfig config_of_table() {
  stream::StreamConfig config;
  config.partitions = slot_count;
  config.segment_bytes = 4 << 20;
  // A row is never too large here if what it was made of was not too large elsewhere.
  config.max_message_bytes = 64 << 20;
  config.compact = true;
  config.expire = false;
  config.internal = true;
  return config;
}

}  // namespace

class Table::Impl final : public runtime::TurnHook, public stream::CommitSink {
 public:
  Impl(Context context, std::string name);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void open(Done<void> done);
  void put(std::uint32_t slot, std::string key, std::optional<Buffer> value, Done<void> done);
  void put_behind(std::uint32_t slot, std::string key, std::optional<Buffer> value);
  void flush(std::uint32_t slot, Done<void> done);
  void get(std::uint32_t slot, std::string key, Done<std::optional<Buffer>> done);
  void scan(std::uint32_t slot, Range range, Done<Portion> done);
  [[nodiscard]] bool empty(std::uint32_t slot) const;
  void stop(Done<void> done);

  void on_turn_end() override;
  void on_commit(Partition partition, const std::shared_ptr<stream::Block>& block) override;

 private:
  struct Part {
    explicit Part(std::size_t& put_bytes) : slot(put_bytes) {}

    Slot slot;
    bool stored_rows = false;  // the store may have rows
    bool due = false;          // its changes go with the end of this turn
    bool waits_for_room = false;
    std::size_t batch_max = batch_size_max;
  };
  // Rows leave the overlay when the store has them and no read is under way that began before.
  struct Drop {
    std::uint32_t slot;
    Offset until;
    std::uint64_t reads;  // begun by then
  };

  template <class F>
  auto guarded(F f) {
    return [f = std::move(f), alive = std::weak_ptr<char>(alive_)](auto... arguments) mutable {
      if (!alive.expired()) f(std::move(arguments)...);
    };
  }
  Part& part(std::uint32_t slot);
  [[nodiscard]] const Part& part(std::uint32_t slot) const;
  [[nodiscard]] Partition partition(std::uint32_t slot) const { return {info_.id, slot}; }

  void find_stream();
  void load_kept();
  void fold(std::vector<Folder::Part> kept);

  void set_due(std::uint32_t slot);
  void start_timer();
  void append(std::uint32_t slot);
  void on_answer(std::uint32_t slot, Result<stream::Appended> answer);
  void retry_later(std::uint32_t slot);
  void go_on(std::uint32_t slot);

  template <class T, class Job, class Then>
  void read(Job job, Then then, Done<T> done);
  void on_stored(std::uint32_t slot, Offset until);
  void drop_stored();
  void continue_stop();

  const Context context_;
  runtime::Loop& loop_;
  stream::Stream& stream_;
  const std::string name_;
  stream::StreamInfo info_;
  Done<void> opened_;
  std::size_t put_bytes_ = 0;
  std::array<std::unique_ptr<Part>, slot_count> parts_;  // of the slots of this shard
  std::vector<std::uint32_t> due_;
  log::BatchBuilder builder_;
  runtime::TimerId timer_ = runtime::TimerId::none;  // while rows put behind wait
  std::deque<Drop> drops_;
  std::uint64_t reads_begun_ = 0;
  std::uint64_t reads_done_ = 0;
  bool stopping_ = false;
  Result<void> stopped_;
  Done<void> on_stopped_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  StoreWriter writer_;
  Folder folder_;
  std::optional<log::Helper> reader_;  // made for the first read
};

Table::Impl::Impl(Context context, std::string name)
    : context_(std::move(context)),
      loop_(*context_.loop),
      stream_(*context_.stream),
      name_(std::move(name)),
      writer_(loop_, context_.store, name_,
              [this](std::uint32_t slot, Offset until) { on_stored(slot, until); }),
      folder_(loop_, stream_, writer_, name_) {
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    if (shard_of_slot(slot, context_.shards) == context_.shard)
      parts_[slot] = std::make_unique<Part>(put_bytes_);
  }
  loop_.add_turn_hook(*this);
}

Table::Impl::~Impl() {
  loop_.remove_turn_hook(*this);
  if (timer_ != runtime::TimerId::none) loop_.cancel(timer_);
}

Table::Impl::Part& Table::Impl::part(std::uint32_t slot) {
  SLUICE_ASSERT(slot < slot_count && parts_[slot]);
  return *parts_[slot];
}

const Table::Impl::Part& Table::Impl::part(std::uint32_t slot) const {
  SLUICE_ASSERT(slot < slot_count && parts_[slot]);
  return *parts_[slot];
}

// --- opening

void Table::Impl::open(Done<void> done) {
  opened_ = std::move(done);
  find_stream();
}

void Table::Impl::find_stream() {
  if (const auto* const found = stream_.catalogue().find(name_)) {
    info_ = *found;
    return load_kept();
  }
  stream_.create(
      name_, config_of_table(), guarded([this](Result<stream::StreamInfo> made) {
        if (made || made.error().code == Errc::exists || made.error().code == Errc::busy) {
          // Made by another shard it may not be known here yet.
          loop_.run_after(lookup_delay, guarded([this] { find_stream(); }));
          return;
        }
        std::exchange(opened_, {})(std::unexpected(made.error().context(name_)));
      }));
}

void Table::Impl::load_kept() {
  std::vector<Folder::Part> slots;
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    if (parts_[slot]) slots.push_back({slot, {}});
  }
  if (!reader_) reader_.emplace(loop_, "table-read");
  reader_->run(
      [store = context_.store, name = name_,
       slots = std::move(slots)]() mutable -> Result<std::vector<Folder::Part>> {
        for (auto& [slot, kept] : slots) {
          SLUICE_TRY_ASSIGN(kept, store->kept(name, slot));
        }
        return std::move(slots);
      },
      [this](Result<std::vector<Folder::Part>> kept) {
        if (!kept) return std::exchange(opened_, {})(std::unexpected(kept.error().context(name_)));
        fold(std::move(*kept));
      });
}

void Table::Impl::fold(std::vector<Folder::Part> kept) {
  for (const auto& [slot, state] : kept) part(slot).stored_rows = !state.empty;
  folder_.run(info_, std::move(kept), *this,
              [this](Result<void> folded) { std::exchange(opened_, {})(std::move(folded)); });
}

// --- changes

void Table::Impl::put(std::uint32_t slot, std::string key, std::optional<Buffer> value,
                      Done<void> done) {
  SLUICE_ASSERT(!stopping_);
  auto& part = this->part(slot);
  const auto waiting = put_bytes_ + writer_.unstored_bytes();
  if (waiting > waiting_max)
    return done(fail(Errc::busy, "table {}: {} bytes are waiting to be stored", name_, waiting));
  part.slot.put(std::move(key), std::move(value), std::move(done));
  set_due(slot);
}

void Table::Impl::put_behind(std::uint32_t slot, std::string key, std::optional<Buffer> value) {
  SLUICE_ASSERT(!stopping_);
  auto& part = this->part(slot);
  part.slot.put_behind(std::move(key), std::move(value));
  if (part.slot.behind_bytes() > behind_max) return set_due(slot);
  start_timer();
}

void Table::Impl::flush(std::uint32_t slot, Done<void> done) {
  part(slot).slot.flush(std::move(done));
  set_due(slot);
}

void Table::Impl::set_due(std::uint32_t slot) {
  auto& part = this->part(slot);
  if (part.due) return;
  part.due = true;
  due_.push_back(slot);
}

void Table::Impl::start_timer() {
  if (timer_ != runtime::TimerId::none) return;
  timer_ = loop_.run_after(behind_delay, [this] {
    timer_ = runtime::TimerId::none;
    for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
      if (parts_[slot] && parts_[slot]->slot.is_waiting()) set_due(slot);
    }
  });
}

void Table::Impl::on_turn_end() {
  for (std::size_t i = 0; i < due_.size(); ++i) append(due_[i]);
  due_.clear();
}

void Table::Impl::append(std::uint32_t slot) {
  auto& part = this->part(slot);
  part.due = false;
  // What waits goes when the batch under way is answered.
  if (part.slot.under_way() || part.waits_for_room || !part.slot.is_waiting()) return;
  auto block = part.slot.next_batch(builder_, loop_.wall_ms(), part.batch_max);
  stream_.append(partition(slot), std::move(block),
                 guarded([this, slot](Result<stream::Appended> answer) {
                   on_answer(slot, std::move(answer));
                 }));
}

void Table::Impl::on_answer(std::uint32_t slot, Result<stream::Appended> answer) {
  auto& part = this->part(slot);
  if (answer) {
    part.batch_max = batch_size_max;
    part.slot.finish();
    return go_on(slot);
  }
  const auto& error = answer.error();
  if (error.code == Errc::busy) {
    part.slot.retry();
    part.waits_for_room = true;
    stream_.on_room(partition(slot), guarded([this, slot] {
                      this->part(slot).waits_for_room = false;
                      set_due(slot);
                    }));
    return;
  }
  if (error.code == Errc::too_large && part.slot.changes_under_way() > 1) {
    part.batch_max = std::max<std::size_t>(part.batch_max / 2, 1);
    part.slot.retry();
    return set_due(slot);
  }
  if (error.code == Errc::too_large) {
    logger.error("a row of a table is too large for its stream; it is given up",
                 {{"table", name_}, {"slot", slot}, {"error", error.text}});
    part.slot.drop_single(error);
    return go_on(slot);
  }
  part.slot.fail(error);
  if (stopping_ && stopped_) stopped_ = std::unexpected(error.context(name_));
  if (part.slot.is_waiting()) retry_later(slot);
  continue_stop();
}

void Table::Impl::retry_later(std::uint32_t slot) {
  loop_.run_after(retry_delay, guarded([this, slot] { set_due(slot); }));
}

void Table::Impl::go_on(std::uint32_t slot) {
  const auto& changes = part(slot).slot;
  if (changes.has_puts() || changes.has_flushes() || changes.behind_bytes() > behind_max ||
      stopping_) {
    set_due(slot);
  }
  if (changes.is_waiting()) start_timer();
  continue_stop();
}

// --- what is visible, and stored

void Table::Impl::on_commit(Partition partition, const std::shared_ptr<stream::Block>& block) {
  if (!block->indexed()) {
    if (auto indexed = block->index_records(expanded_max); !indexed) {
      logger.error("a batch of a table's stream can't be read; it is skipped",
                   {{"table", name_}, {"error", indexed.error().text}});
    }
  }
  auto& part = this->part(partition.index);
  part.slot.commit(*block);
  part.stored_rows = true;
  writer_.add(
      {.partition = partition, .from = block->from(), .until = block->until(), .block = block});
}

void Table::Impl::on_stored(std::uint32_t slot, Offset until) {
  part(slot).stored_rows = true;
  drops_.push_back({slot, until, reads_begun_});
  drop_stored();
}

void Table::Impl::drop_stored() {
  for (; !drops_.empty() && drops_.front().reads <= reads_done_; drops_.pop_front())
    part(drops_.front().slot).slot.stored(drops_.front().until);
}

// --- reading

// `then` makes the answer of what the store had and the overlay has now.
template <class T, class Job, class Then>
void Table::Impl::read(Job job, Then then, Done<T> done) {
  if (reads_begun_ - reads_done_ >= reads_max)
    return done(fail(Errc::busy, "table {}: {} reads are under way", name_, reads_max));
  ++reads_begun_;
  reader_->run(std::move(job),
               [this, then = std::move(then), done = std::move(done)](Result<T> found) mutable {
                 ++reads_done_;
                 if (found) then(*found);
                 drop_stored();
                 done(std::move(found));
               });
}

void Table::Impl::get(std::uint32_t slot, std::string key, Done<std::optional<Buffer>> done) {
  auto& part = this->part(slot);
  const auto& overlay = part.slot.overlay();
  if (const auto found = overlay.find(key); found != overlay.end())
    return done(found->second.value);
  if (!part.stored_rows) return done(std::nullopt);
  read<std::optional<Buffer>>(
      [store = context_.store, name = name_, slot, key] { return store->get(name, slot, key); },
      [&overlay, key](std::optional<Buffer>& value) {
        if (const auto found = overlay.find(key); found != overlay.end())
          value = found->second.value;
      },
      std::move(done));
}

void Table::Impl::scan(std::uint32_t slot, Range range, Done<Portion> done) {
  auto& part = this->part(slot);
  const auto& overlay = part.slot.overlay();
  if (!part.stored_rows) {
    Portion portion;
    merge_overlay(portion, overlay, range);
    return done(std::move(portion));
  }
  read<Portion>([store = context_.store, name = name_, slot,
                 range] { return store->scan(name, slot, range); },
                [&overlay, range](Portion& portion) { merge_overlay(portion, overlay, range); },
                std::move(done));
}

bool Table::Impl::empty(std::uint32_t slot) const {
  const auto& part = this->part(slot);
  return !part.stored_rows && part.slot.overlay().empty();
}

// --- the end

void Table::Impl::stop(Done<void> done) {
  stopping_ = true;
  on_stopped_ = std::move(done);
  for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
    if (parts_[slot]) set_due(slot);
  }
  loop_.post(guarded([this] { continue_stop(); }));
}

// All changes are in the stream, or refused; then in the store; then the store is made durable.
void Table::Impl::continue_stop() {
  if (!on_stopped_) return;
  for (const auto& part : parts_) {
    if (part && (part->slot.under_way() || part->due)) return;
    if (part && part->slot.is_waiting() && stopped_) return;
  }
  writer_.on_idle(guarded([this] {
    if (!on_stopped_) return;
    auto done = std::exchange(on_stopped_, {});
    reader_->run([store = context_.store] { return store->flush(); },
                 [this, done = std::move(done)](Result<void> flushed) mutable {
                   if (stopped_ && !flushed) stopped_ = std::move(flushed);
                   done(std::move(stopped_));
                 });
  }));
}

// --- Table

Table::Table(Context context, std::string name)
    : impl_(std::make_unique<Impl>(std::move(context), std::move(name))) {}
Table::~Table() = default;
void Table::open(Done<void> done) { impl_->open(std::move(done)); }
void Table::put(std::uint32_t slot, std::string key, std::optional<Buffer> value, Done<void> done) {
  impl_->put(slot, std::move(key), std::move(value), std::move(done));
}
void Table::put_behind(std::uint32_t slot, std::string key, std::optional<Buffer> value) {
  impl_->put_behind(slot, std::move(key), std::move(value));
}
void Table::flush(std::uint32_t slot, Done<void> done) { impl_->flush(slot, std::move(done)); }
void Table::get(std::uint32_t slot, std::string key, Done<std::optional<Buffer>> done) {
  impl_->get(slot, std::move(key), std::move(done));
}
void Table::scan(std::uint32_t slot, Range range, Done<Portion> done) {
  impl_->scan(slot, std::move(range), std::move(done));
}
bool Table::empty(std::uint32_t slot) const { return impl_->empty(slot); }
void Table::stop(Done<void> done) { impl_->stop(std::move(done)); }

}  // namespace sluice::table
