#include "table/store_writer.h"

#include <map>
#include <utility>

#include "base/logger.h"

namespace sluice::table {
namespace {

constexpr Logger logger("table");
constexpr auto retry_delay = std::chrono::seconds(1);

std::size_t size_of(const StoreWriter::Item& item) {
  return item.block ? item.block->footprint() : 0;
}

// A block that was folded in part goes in again as a whole: its later records win once more.
void add_rows(SlotChange& change, const log::Block& block) {
  for (const auto& record : block.records()) {
    if (record.key_at == log::Record::none) continue;
    RowChange row{.key = as_text(block.key(record)), .value = {}};
    if (record.value_at != log::Record::none) row.value = block.value(record);
    change.rows.push_back(row);
  }
}

// On the helper.
Result<void> write_items(Store& store, std::string_view table,
                         const std::vector<StoreWriter::Item>& items, WallMs now) {
  std::map<std::uint32_t, SlotChange> by_slot;
  for (const auto& item : items) {
    auto& change = by_slot[item.partition.index];
    change.slot = item.partition.index;
    if (item.clear) {
      change.clear = true;
      change.rows.clear();
    }
    if (item.block) add_rows(change, *item.block);
    change.fold = {item.partition.stream, item.until, now};
  }
  std::vector<SlotChange> changes;
  changes.reserve(by_slot.size());
  for (auto& [slot, change] : by_slot) changes.push_back(std::move(change));
  return store.write(table, changes);
}

}  // namespace

StoreWriter::StoreWriter(runtime::Loop& loop, std::shared_ptr<Store> store, std::string table,
                         Metrics& metrics, OnStored on_stored)
    : loop_(loop),
      store_(std::move(store)),
      table_(std::move(table)),
      unstored_(metrics.gauge("sluice_table_unstored_bytes",
                              "Bytes of table streams that are folded but not in the store yet",
                              fmt::format("table=\"{}\"", table_))),
      failures_(metrics.counter("sluice_table_store_failures_total",
                                "Writes to the store of tables that failed and are tried again",
                                fmt::format("table=\"{}\"", table_))),
      on_stored_(std::move(on_stored)) {}

StoreWriter::~StoreWriter() {
  if (retry_ != runtime::TimerId::none) loop_.cancel(retry_);
}

void StoreWriter::add(Item item) {
  set_unstored(unstored_bytes_ + size_of(item));
  waiting_.push_back(std::move(item));
  if (!writing_) start();
}

void StoreWriter::set_unstored(std::size_t bytes) {
  unstored_bytes_ = bytes;
  unstored_.set(static_cast<std::int64_t>(bytes));
}

void StoreWriter::on_idle(Task task) {
  if (!writing_) return task();
  idle_.push_back(std::move(task));
}

void StoreWriter::finish(Done<void> done) {
  if (!writing_) return done({});
  finished_ = std::move(done);
}

void StoreWriter::start() {
  writing_ = true;
  write(std::make_shared<const std::vector<Item>>(std::exchange(waiting_, {})));
}

void StoreWriter::write(const Items& items) {
  if (!helper_) helper_.emplace(loop_, "table-write");
  helper_->run([store = store_, table = table_, items,
                now = loop_.wall_ms()] { return write_items(*store, table, *items, now); },
               [this, items](const Result<void>& written) {
                 if (!written) return on_failed(items, written.error());
                 on_written(items);
               });
}

void StoreWriter::on_failed(const Items& items, const Error& error) {
  failures_.add();
  if (finished_) return std::exchange(finished_, {})(std::unexpected(error));
  if (!std::exchange(failing_, true)) {
    logger.error("rows of a table can't be stored; it is tried each second",
                 {{"table", table_}, {"error", error.text}});
  }
  retry_ = loop_.run_after(retry_delay, [this, items] {
    retry_ = runtime::TimerId::none;
    write(items);
  });
}

void StoreWriter::on_written(const Items& items) {
  if (std::exchange(failing_, false))
    logger.info("rows of a table can be stored again", {{"table", table_}});
  std::size_t bytes = 0;
  for (const auto& item : *items) {
    bytes += size_of(item);
    on_stored_(item.partition.index, item.until);
  }
  set_unstored(unstored_bytes_ - bytes);
  if (!waiting_.empty()) return start();
  writing_ = false;
  for (auto& task : std::exchange(idle_, {})) task();
  if (finished_) std::exchange(finished_, {})({});
}

}  // namespace sluice::table
