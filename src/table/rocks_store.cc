#include "table/rocks_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/logger.h"
#include "table/store_keys.h"

namespace sluice::table {
namespace {

constexpr Logger logger("table");

constexpr std::size_t block_cache_size = 32 << 20;
constexpr int block_cache_shard_bits = 2;  // few threads read, and a block may be large
constexpr std::size_t write_buffer_size = 8 << 20;
constexpr int open_files_max = 128;

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
rocksdb::Slice slice(Bytes bytes) { return slice(as_text(bytes)); }
std::string_view view(const rocksdb::Slice& s) { return {s.data(), s.size()}; }
Buffer buffer(const rocksdb::Slice& s) {
  const auto bytes = as_bytes(view(s));
  return {bytes.begin(), bytes.end()};
}

Error error_of(const rocksdb::Status& status, std::string_view what) {
  auto code = Errc::io;
  if (status.IsCorruption()) code = Errc::corrupt;
  if (status.IsNoSpace()) code = Errc::disk_full;
  return {code, fmt::format("{}: {}", what, status.ToString())};
}

rocksdb::Options database_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.atomic_flush = true;  // or the fold offsets of a table part ways with another one's
  options.max_open_files = open_files_max;
  options.db_write_buffer_size = 2 * write_buffer_size;
  options.max_background_jobs = 2;  // one flush, one compaction
  options.max_file_opening_threads = 1;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_log_file_size = 1 << 20;
  options.keep_log_file_num = 2;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.bytes_per_sync = 1 << 20;
  return options;
}

rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  // In small blocks: a filter of a whole file would fill a part of the cache on its own.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = write_buffer_size;
  options.max_write_buffer_number = 2;
  options.level_compaction_dynamic_level_bytes = true;
  return options;
}

rocksdb::WriteOptions unlogged() {
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  return options;
}

rocksdb::Status read_fold_state(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family,
                                std::uint32_t slot, const rocksdb::ReadOptions& options,
                                std::optional<FoldState>& state) {
  std::string value;
  auto status = db.Get(options, family, fold_key(slot), &value);
  if (status.IsNotFound()) return {};
  if (status.ok()) state = decode_fold_state(as_bytes(value));
  return status;
}

// Goes through the rows of a slot from `from` on. What it shows is valid until it moves.
class Rows {
 public:
  Rows(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::uint32_t slot,
       std::string_view from, std::string_view until)
      : end_(until.empty() ? slot_end(slot) : row_key(slot, until)), end_slice_(end_) {
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &end_slice_;
    at_.reset(db.NewIterator(options, family));
    at_->Seek(row_key(slot, from));
  }
  [[nodiscard]] bool valid() const { return at_->Valid(); }
  void next() { at_->Next(); }
  [[nodiscard]] std::string_view key() const { return key_of_row(view(at_->key())); }
  [[nodiscard]] rocksdb::Slice value() const { return at_->value(); }
  [[nodiscard]] rocksdb::Status status() const { return at_->status(); }

 private:
  const std::string end_;
  const rocksdb::Slice end_slice_;
  std::unique_ptr<rocksdb::Iterator> at_;
};

rocksdb::Status read_kept(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::uint32_t slot,
                          KeptSlot& kept) {
  auto status = read_fold_state(db, family, slot, {}, kept.fold);
  if (!status.ok()) return status;
  const Rows rows(db, family, slot, "", "");
  kept.empty = !rows.valid();
  return rows.status();
}

}  // namespace

// The database and its families. Opening and making families is locked; using them is not.
class RocksStore::Impl {
 public:
  explicit Impl(std::string directory)
      : directory_(std::move(directory)), damaged_(directory_ + "/DAMAGED") {}
  ~Impl() { close(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  struct Family {
    rocksdb::DB* db = nullptr;
    rocksdb::ColumnFamilyHandle* handle = nullptr;  // none: nothing was ever written
  };
  // `make`: with database and family if they are not there.
  Result<Family> family(std::string_view table, bool make);
  Result<void> flush();
  // The error of a failed call. Damage makes the next start begin anew.
  Error failed(const rocksdb::Status& status, std::string_view what);

 private:
  Result<void> open(bool make);
  [[nodiscard]] bool is_there() const;
  rocksdb::Status try_open();
  rocksdb::Status look_around() const;
  Result<void> begin_anew(const rocksdb::Status& why);
  void close();

  const std::string directory_;
  const std::string damaged_;  // a file that says so
  std::mutex mutex_;           // for all below
  bool looked_ = false;        // it was not there
  bool reported_ = false;      // that it is damaged
  std::shared_ptr<rocksdb::Cache> cache_ =
      rocksdb::NewLRUCache(block_cache_size, block_cache_shard_bits);
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, rocksdb::ColumnFamilyHandle*, std::less<>> families_;
};

Result<RocksStore::Impl::Family> RocksStore::Impl::family(std::string_view table, bool make) {
  const std::lock_guard lock(mutex_);
  SLUICE_TRY(open(make));
  if (!db_) return Family{};
  if (const auto found = families_.find(table); found != families_.end())
    return Family{db_.get(), found->second};
  if (!make) return Family{};
  rocksdb::ColumnFamilyHandle* made = nullptr;
  const auto status = db_->CreateColumnFamily(family_options(cache_), std::string(table), &made);
  if (!status.ok()) return std::unexpected(error_of(status, directory_));
  families_.emplace(table, made);
  return Family{db_.get(), made};
}

Result<void> RocksStore::Impl::open(bool make) {
  if (db_) return {};
  if (!make && (looked_ || !is_there())) {
    looked_ = true;
    return {};
  }
  if (rocksdb::Env::Default()->FileExists(damaged_).ok())
    return begin_anew(rocksdb::Status::Corruption("found before the last start"));
  const auto status = try_open();
  if (status.ok()) return {};
  if (status.IsNoSpace()) return std::unexpected(error_of(status, directory_));
  return begin_anew(status);
}

bool RocksStore::Impl::is_there() const {
  return rocksdb::Env::Default()->FileExists(directory_ + "/CURRENT").ok();
}

rocksdb::Status RocksStore::Impl::try_open() {
  const auto options = database_options();
  std::vector<std::string> names;
  const auto listed = rocksdb::DB::ListColumnFamilies(options, directory_, &names);
  if (!listed.ok()) names = {rocksdb::kDefaultColumnFamilyName};  // a new one, or Open says why not
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  descriptors.reserve(names.size());
  for (const auto& name : names) descriptors.emplace_back(name, family_options(cache_));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  auto status = rocksdb::DB::Open(options, directory_, descriptors, &handles, &db);
  if (!status.ok()) return status;
  db_.reset(db);
  for (std::size_t i = 0; i < names.size(); ++i) families_.emplace(names[i], handles[i]);
  status = look_around();
  if (!status.ok()) close();
  return status;
}

// Reads what tables read when they are opened, while there is still time to begin anew.
rocksdb::Status RocksStore::Impl::look_around() const {
  for (const auto& [name, family] : families_) {
    for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
      KeptSlot kept;
      const auto status = read_kept(*db_, family, slot, kept);
      if (!status.ok()) return status;
    }
  }
  return {};
}

Result<void> RocksStore::Impl::begin_anew(const rocksdb::Status& why) {
  logger.warn("the store of tables is damaged; it is removed and made again from the log",
              {{"directory", directory_}, {"error", why.ToString()}});
  auto status = rocksdb::DestroyDB(directory_, database_options());
  if (status.ok()) {
    static_cast<void>(rocksdb::Env::Default()->DeleteFile(damaged_));  // it need not be there
    status = try_open();
  }
  if (!status.ok()) return std::unexpected(error_of(status, directory_));
  return {};
}

Error RocksStore::Impl::failed(const rocksdb::Status& status, std::string_view what) {
  if (status.IsCorruption()) {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(reported_, true)) {
      logger.error("the store of tables is damaged; the next start makes it again from the log",
                   {{"directory", directory_}, {"error", status.ToString()}});
    }
    const auto marked =
        rocksdb::WriteStringToFile(rocksdb::Env::Default(), status.ToString(), damaged_, true);
    if (!marked.ok()) logger.error("a file can't be written", {{"file", damaged_}});
  }
  return error_of(status, what);
}

Result<void> RocksStore::Impl::flush() {
  std::vector<rocksdb::ColumnFamilyHandle*> all;
  {
    const std::lock_guard lock(mutex_);
    if (!db_) return {};
    for (const auto& [name, handle] : families_) all.push_back(handle);
  }
  const auto status = db_->Flush(rocksdb::FlushOptions(), all);
  if (!status.ok()) return std::unexpected(failed(status, directory_));
  return {};
}

void RocksStore::Impl::close() {
  if (!db_) return;
  for (const auto& [name, handle] : families_) db_->DestroyColumnFamilyHandle(handle);
  families_.clear();
  db_->Close();
  db_.reset();
}

RocksStore::RocksStore(std::string directory)
    : impl_(std::make_unique<Impl>(std::move(directory))) {}
RocksStore::~RocksStore() = default;

Result<KeptSlot> RocksStore::kept(std::string_view table, std::uint32_t slot) {
  SLUICE_TRY_ASSIGN(const auto family, impl_->family(table, false));
  if (family.handle == nullptr) return KeptSlot{};
  KeptSlot kept;
  const auto status = read_kept(*family.db, family.handle, slot, kept);
  if (!status.ok()) return std::unexpected(impl_->failed(status, table));
  return kept;
}

Result<std::optional<FoldState>> RocksStore::persisted(std::string_view table, std::uint32_t slot) {
  SLUICE_TRY_ASSIGN(const auto family, impl_->family(table, false));
  if (family.handle == nullptr) return std::nullopt;
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kPersistedTier;
  std::optional<FoldState> state;
  const auto status = read_fold_state(*family.db, family.handle, slot, options, state);
  if (!status.ok()) return std::unexpected(impl_->failed(status, table));
  return state;
}

Result<void> RocksStore::write(std::string_view table, std::span<const SlotChange> changes) {
  SLUICE_TRY_ASSIGN(const auto family, impl_->family(table, true));
  rocksdb::WriteBatch batch;
  for (const auto& change : changes) {
    if (change.clear)
      batch.DeleteRange(family.handle, row_key(change.slot, ""), slot_end(change.slot));
    for (const auto& row : change.rows) {
      const auto key = row_key(change.slot, row.key);
      if (row.value) {
        batch.Put(family.handle, key, slice(*row.value));
      } else {
        batch.Delete(family.handle, key);
      }
    }
    batch.Put(family.handle, fold_key(change.slot), slice(encode_fold_state(change.fold)));
  }
  const auto status = family.db->Write(unlogged(), &batch);
  // After a failed flush all writes fail until this; the next try shows whether it helped.
  if (!status.ok()) static_cast<void>(family.db->Resume());
  if (!status.ok()) return std::unexpected(impl_->failed(status, table));
  return {};
}

Result<std::optional<Buffer>> RocksStore::get(std::string_view table, std::uint32_t slot,
                                              std::string_view key) {
  SLUICE_TRY_ASSIGN(const auto family, impl_->family(table, false));
  if (family.handle == nullptr) return std::nullopt;
  rocksdb::PinnableSlice value;
  const auto status =
      family.db->Get(rocksdb::ReadOptions(), family.handle, slice(row_key(slot, key)), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return std::unexpected(impl_->failed(status, table));
  return buffer(value);
}

Result<Portion> RocksStore::scan(std::string_view table, std::uint32_t slot, const Range& range) {
  SLUICE_TRY_ASSIGN(const auto family, impl_->family(table, false));
  Portion portion;
  if (family.handle == nullptr) return portion;
  std::size_t bytes = 0;
  Rows rows(*family.db, family.handle, slot, range.from, range.until);
  for (; rows.valid(); rows.next()) {
    if (portion.rows.size() >= range.rows_max || bytes >= range.bytes_max) {
      portion.next = std::string(rows.key());
      break;
    }
    portion.rows.push_back({std::string(rows.key()), buffer(rows.value())});
    bytes += portion.rows.back().key.size() + portion.rows.back().value.size();
  }
  if (!rows.status().ok()) return std::unexpected(impl_->failed(rows.status(), table));
  return portion;
}

Result<void> RocksStore::flush() { return impl_->flush(); }

}  // namespace sluice::table
