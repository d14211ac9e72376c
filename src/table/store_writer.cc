#include "table/store_writer.h"

#include <map>
#include <utility>

namespace sluice::table {
namespace {

constexpr Logger logger("table");
constexpr auto retry_delay = std::chrono::seconds(1);

std::size_t size_of(const StoreWriter::Item& item) {
  return item.block ? item.block->footprint() : 0;
}

void add_rows(SlotChange& change, const StoreWriter::Item& item) {
  const auto& block = *item.block;
  for (const auto& record : block.records()) {
    if (record.key_at == log::Record::none || block.from() + record.offset_delta < item.from)
      continue;
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
    if (item.block) add_rows(change, item);
    change.fold = {item.partition.stream, item.until, now};
  }
  std::vector<SlotChange> changes;
  changes.reserve(by_slot.size());
  for (auto& [slot, change] : by_slot) changes.push_back(std::move(change));
  return store.write(table, changes);
}

}  // namespace

StoreWriter::StoreWriter(runtime::Loop& loop, std::shared_ptr<Store> store, std::string table,
                         OnStored on_stored)
    : loop_(loop),
      store_(std::move(store)),
      table_(std::move(table)),
      on_stored_(std::move(on_stored)),
      helper_(loop, "table-write") {}

StoreWriter::~StoreWriter() {
  if (retry_ != runtime::TimerId::none) loop_.cancel(retry_);
}

void StoreWriter::add(Item item) {
  unstored_bytes_ += size_of(item);
  waiting_.push_back(std::move(item));
  if (!writing_) start();
}

void StoreWriter::on_idle(Task task) {
  if (!writing_) return task();
  idle_.push_back(std::move(task));
}

void StoreWriter::start() {
  writing_ = true;
  write(std::make_shared<const std::vector<Item>>(std::exchange(waiting_, {})));
}

void StoreWriter::write(Items items) {
  helper_.run([store = store_, table = table_, items,
               now = loop_.wall_ms()] { return write_items(*store, table, *items, now); },
              [this, items](const Result<void>& written) { finish(items, written); });
}

void StoreWriter::finish(const Items& items, const Result<void>& written) {
  if (!written) {
    if (failures_.allow(loop_.wall_ms())) {
      logger.error("rows of a table can't be stored; it is tried again",
                   {{"table", table_}, {"error", written.error().text}});
    }
    retry_ = loop_.run_after(retry_delay, [this, items] {
      retry_ = runtime::TimerId::none;
      write(items);
    });
    return;
  }
  for (const auto& item : *items) {
    unstored_bytes_ -= size_of(item);
    on_stored_(item.partition.index, item.until);
  }
  if (!waiting_.empty()) return start();
  writing_ = false;
  for (auto& task : std::exchange(idle_, {})) task();
}

}  // namespace sluice::table
