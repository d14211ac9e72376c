#include "table/table.h"

#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/logger.h"
#include "table/appender.h"
#include "table/folder.h"
#include "table/guard.h"
#include "table/holds.h"
#include "table/reader.h"
#include "table/slots.h"
#include "table/store.h"
#include "table/store_writer.h"

namespace sluice::table {
namespace {

constexpr Logger logger("table");

constexpr auto lookup_delay = std::chrono::milliseconds(10);  // for a stream another shard makes
constexpr std::size_t waiting_max = 16 << 20;  // bytes put and not durable, or not stored: busy
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

// A change goes from a Slot by the Appender to the stream; comes back when it is visible
// (on_commit) and goes into the Slot's overlay and by the StoreWriter to the store; then the Reader
// drops it from the overlay. The Folder does the same for what a start finds in the stream.
class Table::Impl final : public stream::CommitSink {
 public:
  Impl(const Context& context, std::string name);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void open(Done<void> done);
  void put(std::uint32_t slot, std::string key, std::optional<Buffer> value, Done<void> done);
  void put_behind(std::uint32_t slot, std::string key, std::optional<Buffer> value);
  void flush(std::uint32_t slot, Done<void> done);
  void stop(Done<void> done);
  [[nodiscard]] Reader& reader() { return reader_; }

  void on_commit(Partition partition, const std::shared_ptr<stream::Block>& block) override;

 private:
  enum class State : std::uint8_t { closed, opening, open, stopping };

  void find_stream();
  void start(const stream::StreamInfo& info);
  void load_kept(stream::StreamInfo info);
  void finish_open(Result<void> result);
  void fold(Partition partition, const std::shared_ptr<stream::Block>& block);
  void on_stored(std::uint32_t slot, Offset until);
  void flush_store(Result<void> result, Done<void> done);

  runtime::Loop& loop_;
  stream::Stream& stream_;
  const std::shared_ptr<Store> store_;
  const std::string name_;
  State state_ = State::closed;
  Done<void> opened_;
  // What became visible before all that lies below it was folded. It is little: only a process that
  // died a moment ago can have it on its way to a cluster.
  std::vector<std::pair<Partition, std::shared_ptr<stream::Block>>> early_;
  Slots slots_;
  Reader reader_;
  Holds holds_;
  StoreWriter writer_;
  Folder folder_;
  Appender appender_;
  Guard guard_;
};

Table::Impl::Impl(const Context& context, std::string name)
    : loop_(*context.loop),
      stream_(*context.stream),
      store_(context.store),
      name_(std::move(name)),
      slots_(context.shard, context.shards),
      reader_(loop_, store_, slots_, name_),
      holds_(loop_, stream_, store_, reader_.helper(), name_),
      writer_(loop_, store_, name_, *context.metrics,
              [this](std::uint32_t slot, Offset until) { on_stored(slot, until); }),
      folder_(loop_, stream_, writer_, name_, *context.metrics),
      appender_(loop_, stream_, slots_, name_, *context.metrics) {}

// --- opening

void Table::Impl::open(Done<void> done) {
  SLUICE_ASSERT(state_ == State::closed);
  state_ = State::opening;
  opened_ = std::move(done);
  find_stream();
}

void Table::Impl::find_stream() {
  if (const auto* const found = stream_.catalogue().find(name_)) return start(*found);
  stream_.create(name_, config_of_table(), guard_([this](Result<stream::StreamInfo> made) {
                   if (made) return start(*made);
                   const auto code = made.error().code;
                   if (code != Errc::exists && code != Errc::busy)
                     return finish_open(std::unexpected(std::move(made.error())));
                   // Another shard is making it; this one will hear of it.
                   loop_.run_after(lookup_delay, guard_([this] { find_stream(); }));
                 }));
}

void Table::Impl::start(const stream::StreamInfo& info) {
  if (info.config.partitions != slot_count) {
    return finish_open(fail(Errc::invalid, "stream {} has {} partitions, a table's has {}", name_,
                            info.config.partitions, slot_count));
  }
  appender_.start(info.id);
  holds_.start(info.id);
  load_kept(info);
}

void Table::Impl::load_kept(stream::StreamInfo info) {
  std::vector<Folder::Part> parts;
  slots_.for_each(
      [&](std::uint32_t slot, const Slot& /*changes*/) { parts.push_back({slot, {}}); });
  reader_.helper().run(
      [store = store_, name = name_,
       parts = std::move(parts)]() mutable -> Result<std::vector<Folder::Part>> {
        for (auto& [slot, kept] : parts) {
          SLUICE_TRY_ASSIGN(kept, store->kept(name, slot));
        }
        return std::move(parts);
      },
      [this, info = std::move(info)](Result<std::vector<Folder::Part>> kept) mutable {
        if (!kept) return finish_open(std::unexpected(std::move(kept.error())));
        for (const auto& [slot, state] : *kept) {
          if (!state.empty) reader_.set_stored(slot);
        }
        folder_.run(std::move(info), std::move(*kept), *this,
                    [this](Result<void> folded) { finish_open(std::move(folded)); });
      });
}

void Table::Impl::finish_open(Result<void> result) {
  state_ = result ? State::open : State::closed;
  for (const auto& [partition, block] : std::exchange(early_, {})) fold(partition, block);
  auto done = std::exchange(opened_, {});
  if (!result) return done(std::unexpected(result.error().context(name_)));
  done({});
}

// --- changes

void Table::Impl::put(std::uint32_t slot, std::string key, std::optional<Buffer> value,
                      Done<void> done) {
  SLUICE_ASSERT(state_ == State::open);
  const auto waiting = slots_.put_bytes() + writer_.unstored_bytes();
  if (waiting > waiting_max)
    return done(fail(Errc::busy, "table {}: {} bytes are waiting to be stored", name_, waiting));
  slots_[slot].put(std::move(key), std::move(value), std::move(done));
  appender_.on_urgent(slot);
}

void Table::Impl::put_behind(std::uint32_t slot, std::string key, std::optional<Buffer> value) {
  SLUICE_ASSERT(state_ == State::open);
  slots_[slot].put_behind(std::move(key), std::move(value));
  appender_.on_behind(slot);
}

void Table::Impl::flush(std::uint32_t slot, Done<void> done) {
  slots_[slot].flush(std::move(done));
  if (slots_[slot].has_flushes()) appender_.on_urgent(slot);
}

void Table::Impl::on_commit(Partition partition, const std::shared_ptr<stream::Block>& block) {
  if (state_ == State::opening) {
    early_.emplace_back(partition, block);
    return;
  }
  fold(partition, block);
}

void Table::Impl::fold(Partition partition, const std::shared_ptr<stream::Block>& block) {
  if (auto indexed = block->index_records(expanded_max); !indexed) {
    logger.error("a batch of a table's stream can't be read; it is skipped",
                 {{"table", name_},
                  {"slot", partition.index},
                  {"offset", block->from().value},
                  {"error", indexed.error().text}});
  }
  slots_[partition.index].commit(*block);
  writer_.add({.partition = partition, .until = block->until(), .block = block});
}

void Table::Impl::on_stored(std::uint32_t slot, Offset until) {
  reader_.on_stored(slot, until);
  holds_.on_stored(slot);
}

// --- the end

// The stream first, then the store; the store is flushed even if something failed.
void Table::Impl::stop(Done<void> done) {
  if (state_ != State::open) return done({});  // nothing was put
  state_ = State::stopping;
  appender_.finish([this, done = std::move(done)](Result<void> appended) mutable {
    writer_.finish([this, appended = std::move(appended),
                    done = std::move(done)](Result<void> stored) mutable {
      flush_store(appended ? std::move(stored) : std::move(appended), std::move(done));
    });
  });
}

void Table::Impl::flush_store(Result<void> result, Done<void> done) {
  reader_.helper().run(
      [store = store_] { return store->flush(); },
      [result = std::move(result), done = std::move(done)](Result<void> flushed) mutable {
        done(result ? std::move(flushed) : std::move(result));
      });
}

// --- Table

Table::Table(const Context& context, std::string name)
    : impl_(std::make_unique<Impl>(context, std::move(name))) {}

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
  impl_->reader().get(slot, std::move(key), std::move(done));
}

void Table::scan(std::uint32_t slot, Range range, Done<Portion> done) {
  impl_->reader().scan(slot, std::move(range), std::move(done));
}

bool Table::empty(std::uint32_t slot) const { return impl_->reader().empty(slot); }

void Table::stop(Done<void> done) { impl_->stop(std::move(done)); }

}  // namespace sluice::table
