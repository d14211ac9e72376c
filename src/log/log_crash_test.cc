// Random appends on a disk that crashes, by seed; what must hold afterwards, whatever happened, are
// the laws below. SLUICE_SEEDS sets how many seeds are run; a failing one is printed and can be run
// alone with SLUICE_SEED.

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <iterator>
#include <set>

#include "base/logger.h"
#include "log/sim_log_test.h"
#include "sim/seeds.h"

namespace sluice::log {
namespace {

constexpr std::uint32_t partitions_max = 4;
constexpr std::uint64_t unlimited = std::uint64_t{1} << 40;

// A broken law, in words.
struct Violation {
  std::string text;
};

// The key of a value, which says it: "<partition>.<producer>.<n>", each producer uses a few in
// turn.
constexpr std::int64_t keys_per_producer = 5;
std::string key_of(std::string_view value) {
  const auto dot = value.rfind('.', value.find_last_not_of('.'));
  const auto number = std::strtoll(std::string(value.substr(dot + 1)).c_str(), nullptr, 10);
  return fmt::format("{}.{}", value.substr(0, dot), number % keys_per_producer);
}

// One producer of one partition, as a Kafka client behaves: up to five batches in flight, all of
// them sent again in order after a restart, and sometimes for no reason.
class Producer {
 public:
  Producer(Partition partition, std::int64_t id) : partition_(partition), id_(id) {}

  struct Sent {
    TestBatch batch;
    bool idempotent = false;
    bool answered = false;
  };

  void send(LogMachine& machine, Random& random, std::function<void(const Sent&, Offset)> on_ack) {
    if (std::exchange(refused_, false)) return resend(machine, on_ack);
    if (waiting_.size() >= 5) return;
    auto sent = std::make_shared<Sent>();
    sent->idempotent = id_ >= 0;
    const std::size_t count = 1 + random.below(3);
    for (std::size_t i = 0; i < count; ++i)
      sent->batch.values.push_back(fmt::format("{}.{}.{}{}", partition_.index, id_, next_value_++,
                                               std::string(random.below(200), '.')));
    for (const std::string& value : sent->batch.values) sent->batch.keys.push_back(key_of(value));
    if (random.one_in(3)) sent->batch.codec = static_cast<Compression>(random.below(5));
    sent->batch.timestamp = 1000 + next_value_;
    sent->batch.producer = id_;
    sent->batch.epoch = epoch_;
    sent->batch.sequence = id_ < 0 ? -1 : next_sequence_;
    next_sequence_ += static_cast<std::int32_t>(count);
    for (const std::string& value : sent->batch.values)
      order_[value] = static_cast<std::int64_t>(order_.size());
    waiting_.push_back(sent);
    transmit(machine, sent, on_ack);
    if (sent->idempotent && random.one_in(4)) transmit(machine, sent, on_ack);
  }

  // After a restart. A producer that is not idempotent gives up what it had in flight.
  void resend(LogMachine& machine, std::function<void(const Sent&, Offset)> on_ack) {
    if (id_ < 0) waiting_.clear();
    for (const auto& sent : std::deque(waiting_)) transmit(machine, sent, on_ack);
  }

  // The log has lost what it had acknowledged (os durability): a client begins a new epoch.
  void begin_epoch() {
    ++epoch_;
    next_sequence_ = 0;
    waiting_.clear();
    gap_ = false;
  }
  [[nodiscard]] bool gap() const { return gap_; }
  [[nodiscard]] Partition partition() const { return partition_; }
  [[nodiscard]] std::int64_t id() const { return id_; }
  // In which place a value was sent; nothing if it never was.
  [[nodiscard]] std::optional<std::int64_t> order(const std::string& value) const {
    const auto found = order_.find(value);
    return found == order_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  // An idempotent client sends all again in order, from the first that was refused; the others fail
  // for lack of it.
  void refused(const std::shared_ptr<Sent>& sent, Errc code) {
    if (!sent->idempotent) {
      std::erase(waiting_, sent);
      return;
    }
    gap_ |= code == Errc::sequence_gap && sent == waiting_.front();
    refused_ = true;
  }

  void transmit(LogMachine& machine, const std::shared_ptr<Sent>& sent,
                const std::function<void(const Sent&, Offset)>& on_ack) {
    machine.log(partition_)
        .append(partition_, make_block(sent->batch), [this, sent, on_ack](Result<Appended> done) {
          if (!done) return refused(sent, done.error().code);
          std::erase(waiting_, sent);
          on_ack(*sent, done->first);
        });
  }

  Partition partition_;
  std::int64_t id_;
  std::int16_t epoch_ = 0;
  std::int32_t next_sequence_ = 0;
  std::int64_t next_value_ = 0;
  bool gap_ = false;
  bool refused_ = false;
  std::deque<std::shared_ptr<Sent>> waiting_;
  std::map<std::string, std::int64_t> order_;
};

// One seed: some lives of a machine, each ended by a stop, a kill or a crash at any operation of
// the disk.
class CrashRun {
 public:
  explicit CrashRun(std::uint64_t seed)
      : random_(seed), machine_(seed, random_options(), shards()) {
    const std::uint64_t count = 1 + random_.below(partitions_max);
    for (std::uint32_t i = 0; i < count; ++i) {
      producers_.emplace_back(Partition{{5}, i}, -1);
      producers_.emplace_back(Partition{{5}, i}, 100 + i);
    }
  }
  LogMachine& machine() { return machine_; }

  // Nothing when all laws held.
  std::optional<std::string> run() {
    try {
      const std::uint64_t lives = 2 + random_.below(3);
      for (std::uint64_t life = 0; life < lives; ++life) live();
      start_without_crash();
      check_all();
      machine_.kill();
      return std::nullopt;
    } catch (const Violation& violation) {
      return violation.text;
    }
  }

 private:
  Options random_options() {
    Options options = LogMachine::small_options();
    options.durability = random_.one_in(3) ? Durability::os : Durability::disk;
    options.direct_io = !random_.one_in(3);
    options.segment_size = 1024 + random_.below(4096);
    options.journal_size = 16 * 1024 + 4096 * random_.below(8);
    options.journal_files = 2 + static_cast<std::uint32_t>(random_.below(3));
    options.tail_cache_size = random_.one_in(2) ? 1024 : 64 * 1024;
    options.open_files_max = 2 + static_cast<std::uint32_t>(random_.below(6));
    options.checkpoint_interval = std::chrono::milliseconds(1 + random_.below(2000));
    return options;
  }
  std::uint32_t shards() { return 1 + static_cast<std::uint32_t>(random_.below(3)); }

  void live() {
    if (random_.one_in(4)) machine_.set_shards(shards());
    try {
      if (random_.one_in(3)) crash_within(60);  // perhaps during recovery
      start();
      check_all();
      crash_within(400);
      work();
      if (random_.one_in(2) && machine_.stop()) return;
      machine_.kill();
    } catch (const sim::Crashed&) {
      random_.one_in(3) ? machine_.kill() : crash();
    }
  }

  void crash_within(std::uint64_t operations) {
    machine_.disk().crash_at(machine_.disk().operations() + random_.below(operations));
  }

  void crash() {
    machine_.crash();
    if (machine_.options().durability == Durability::os) lossy_ = true;
  }

  void start_without_crash() {
    machine_.disk().crash_at(UINT64_MAX);
    start();
  }

  void start() {
    machine_.disk().set_capacity(unlimited);
    machine_.disk().fail_next_syncs(0);
    if (const auto started = machine_.start(); !started)
      throw Violation{"no start: " + started.error().text};
    for (const Producer& producer : producers_)
      machine_.log(producer.partition())
          .open(producer.partition(), {.retention_bytes = retention_bytes_,
                                       .segment_ms = segment_ms_,
                                       .compact = is_compacted(producer.partition())});
    machine_.committed().clear();
  }

  void work() {
    for (Producer& producer : producers_) producer.resend(machine_, ack());
    const std::uint64_t steps = 10 + random_.below(40);
    for (std::uint64_t i = 0; i < steps; ++i) {
      for (std::uint64_t n = random_.below(4); n > 0; --n) {
        Producer& producer = producers_[random_.below(producers_.size())];
        if (producer.gap()) handle_gap(producer);
        producer.send(machine_, random_, ack());
      }
      disturb();
      if (random_.one_in(4)) check_read(producers_[random_.below(producers_.size())].partition());
      machine_.wake();
      machine_.world().run_for(random_.one_in(8) ? std::chrono::milliseconds(1500)
                                                 : std::chrono::milliseconds(random_.below(3)));
      note_commits();
    }
  }

  // Retention, a disk that is full for a while, or fails to sync, which makes the log read-only for
  // the rest of this life.
  void disturb() {
    sim::SimDisk& disk = machine_.disk();
    const Partition partition = producers_[random_.below(producers_.size())].partition();
    if (random_.one_in(10)) machine_.log(partition).apply_retention();
    if (random_.one_in(30)) delete_records(partition);
    if (random_.one_in(60)) disk.set_capacity(0);
    if (random_.one_in(10)) disk.set_capacity(unlimited);
    if (random_.one_in(200)) disk.fail_next_syncs(1);
  }

  // Law: what was deleted, and said to be so, stays deleted.
  void delete_records(Partition partition) {
    const Bounds bounds = *machine_.log(partition).bounds(partition);
    const auto width = static_cast<std::uint64_t>(bounds.visible_end - bounds.start);
    const Offset before =
        bounds.start + static_cast<std::int64_t>(random_.below(width / 4 + 1 + random_.below(3)));
    machine_.log(partition).delete_records(partition, before,
                                           [this, partition](const Result<Offset>& start) {
                                             if (start) starts_[partition] = *start;
                                           });
  }

  void handle_gap(Producer& producer) {
    if (!lossy_) throw Violation{fmt::format("sequence gap for producer {}", producer.id())};
    producer.begin_epoch();
  }

  std::function<void(const Producer::Sent&, Offset)> ack() {
    return [this](const Producer::Sent& sent, Offset first) {
      const auto partition = static_cast<std::uint32_t>(std::stoul(sent.batch.values.front()));
      for (std::size_t i = 0; i < sent.batch.values.size(); ++i)
        remember({{5}, partition},
                 {first.value + static_cast<std::int64_t>(i), sent.batch.values[i]});
    };
  }

  void note_commits() {
    for (auto& [partition, seen] : machine_.committed()) {
      for (const Seen& record : seen) remember(partition, record);
      seen.clear();
    }
  }

  // Law: an offset that anybody has seen, in an ack or as a record, never means another record.
  void remember(Partition partition, const Seen& record) {
    const auto [found, added] = visible_[partition].try_emplace(record.offset, record.value);
    if (!added && found->second != record.value) {
      throw Violation{fmt::format("partition {} offset {} was {} and is {}", partition.index,
                                  record.offset, found->second, record.value)};
    }
  }

  void check_read(Partition partition) {
    const auto bounds = machine_.log(partition).bounds(partition);
    const auto width = static_cast<std::uint64_t>(bounds->visible_end - bounds->start);
    const Offset from = bounds->start + static_cast<std::int64_t>(random_.below(width + 1));
    const auto answer = machine_.read(partition, from, 1 + random_.below(3000));
    if (!answer) throw Violation{"read: " + answer.error().text};
    if (answer->skipped > 0) throw Violation{"a reader met damage"};
    if (from < bounds->visible_end && answer->next <= from)
      throw Violation{"a read did not move on"};
    std::vector<Seen> seen;
    append_records(answer->blocks, seen);
    note_commits();
    for (const Seen& record : seen) remember(partition, record);
  }

  static bool is_compacted(Partition partition) { return partition.index % 2 == 1; }

  void check_all() {
    if (machine_.recovery().damage().places > 0 && !lossy_) throw Violation{"recovery met damage"};
    for (const Producer& producer : producers_)
      if (producer.id() < 0) check_partition(producer.partition());
  }

  void check_partition(Partition partition) {
    const auto hinted = read_hinted(partition);
    const auto seen = machine_.read_all(partition, 1 + random_.below(3000));
    if (!seen) throw Violation{"read: " + seen.error().text};
    std::map<std::int64_t, std::string> found;
    std::map<std::int64_t, std::int64_t> last;  // place of the last value, by producer
    for (const Seen& record : *seen) {
      if (!found.empty() && record.offset <= found.rbegin()->first)
        throw Violation{"offsets go back"};
      found[record.offset] = record.value;
      check_order(partition, record, last);
      remember(partition, record);
    }
    if (hinted) check_hinted(*hinted, *seen);
    const Offset start = machine_.log(partition).bounds(partition)->start;
    if (start < starts_[partition])
      throw Violation{fmt::format("partition {} starts at {} again", partition.index, start.value)};
    if (lossy_) return;
    // Law: what was visible or acknowledged is there, if retention has not dropped it, nor
    // compaction because the key has a newer value.
    std::map<std::string, std::int64_t> newest;
    if (is_compacted(partition))
      for (const auto& [offset, value] : found) newest[key_of(value)] = offset;
    for (const auto& [offset, value] : visible_[partition]) {
      if (offset < start.value || found.contains(offset)) continue;
      const auto newer = newest.find(key_of(value));
      if (newer == newest.end() || newer->second < offset)
        throw Violation{
            fmt::format("partition {} lost offset {}: {}", partition.index, offset, value)};
    }
  }

  // Some of what a partition holds, and what is read with a hint of it.
  struct Hinted {
    std::string key;
    bool by_prefix = false;
    std::set<std::int64_t> given{};  // offsets
    [[nodiscard]] bool wants(const std::string& value) const {
      return by_prefix ? key_of(value).starts_with(key) : key_of(value) == key;
    }
  };
  std::optional<Hinted> read_hinted(Partition partition) {
    const auto& visible = visible_[partition];
    if (visible.empty()) return std::nullopt;
    auto some = visible.begin();
    std::advance(some, random_.below(visible.size()));
    Hinted hinted{.key = key_of(some->second), .by_prefix = random_.one_in(2)};
    if (hinted.by_prefix) hinted.key.pop_back();
    const KeyHint hint = hinted.by_prefix ? KeyHint{{}, {hinted.key}} : KeyHint{{hinted.key}, {}};
    const auto seen = machine_.read_all(partition, 1 + random_.below(3000),
                                        std::make_shared<const KeyHint>(hint));
    if (!seen) throw Violation{"read with a hint: " + seen.error().text};
    for (const Seen& record : *seen) {
      remember(partition, record);
      hinted.given.insert(record.offset);
    }
    return hinted;
  }
  // Law: who reads with a hint is given all that it allows. `later` was read after that.
  static void check_hinted(const Hinted& hinted, const std::vector<Seen>& later) {
    for (const Seen& record : later)
      if (hinted.wants(record.value) && !hinted.given.contains(record.offset))
        throw Violation{
            fmt::format("{} at {} is not found by its key", record.value, record.offset)};
  }

  // Laws: nothing is there that was not sent; each producer's records are in order, so none is
  // there twice.
  void check_order(Partition partition, const Seen& record,
                   std::map<std::int64_t, std::int64_t>& last) {
    for (const Producer& producer : producers_) {
      const auto place =
          producer.partition() == partition ? producer.order(record.value) : std::nullopt;
      if (!place) continue;
      const auto [before, first] = last.try_emplace(producer.id(), *place);
      if (!first && *place <= before->second) {
        throw Violation{fmt::format("partition {} has {} at {} twice or out of order",
                                    partition.index, record.value, record.offset)};
      }
      before->second = *place;
      return;
    }
    throw Violation{
        fmt::format("partition {} has {}, which nobody sent", partition.index, record.value)};
  }

  Random random_;
  LogMachine machine_;
  std::vector<Producer> producers_;
  std::map<Partition, std::map<std::int64_t, std::string>> visible_;
  std::map<Partition, Offset> starts_;  // as deletions have answered
  std::int64_t segment_ms_ = random_.one_in(3) ? 500 : -1;
  std::int64_t retention_bytes_ = random_.one_in(3) ? 4000 : -1;
  bool lossy_ =
      false;  // os durability and a machine that crashed: what was acknowledged may be gone
};

class LogCrash : public testing::Test {
 protected:
  // Damage is what these tests are about: no news.
  void SetUp() override {
    Logger::set_level(std::getenv("SLUICE_SEED") ? LogLevel::debug : LogLevel::off);
  }
  void TearDown() override { Logger::set_level(LogLevel::info); }
};

TEST_F(LogCrash, KeepsItsLawsWhateverHappens) {
  for (const std::uint64_t seed :
       sim::seeds({.optimized = 10'000, .plain = 1'000, .sanitized = 200})) {
    CrashRun run(seed);
    const auto violation = run.run();
    ASSERT_FALSE(violation) << "SLUICE_SEED=" << seed << ": " << *violation;
  }
}

// A disk that says "synced" of journal files and has done nothing: acks go out before the sync.
class LyingDisk final : public Disk {
 public:
  explicit LyingDisk(Disk& disk) : disk_(disk) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    SLUICE_TRY_ASSIGN(auto file, disk_.open(path, mode));
    if (!path.starts_with("journal/")) return file;
    return std::make_unique<LyingFile>(std::move(file));
  }
  Result<void> make_dirs(const std::string& path) override { return disk_.make_dirs(path); }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return disk_.list(path);
  }
  Result<bool> exists(const std::string& path) override { return disk_.exists(path); }
  Result<void> rename(const std::string& from, const std::string& to) override {
    return disk_.rename(from, to);
  }
  Result<void> remove(const std::string& path) override { return disk_.remove(path); }
  Result<void> remove_all(const std::string& path) override { return disk_.remove_all(path); }
  Result<void> sync_dir(const std::string& path) override { return disk_.sync_dir(path); }
  Result<void> sync_all() override { return disk_.sync_all(); }
  Result<std::uint64_t> free_bytes() override { return disk_.free_bytes(); }
  std::string boot_id() override { return disk_.boot_id(); }

 private:
  class LyingFile final : public File {
   public:
    explicit LyingFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
    Result<std::size_t> read_at(std::uint64_t at, MutableBytes out) override {
      return file_->read_at(at, out);
    }
    Result<void> write_at(std::uint64_t at, std::span<const Bytes> pieces) override {
      return file_->write_at(at, pieces);
    }
    Result<void> sync() override { return {}; }
    Result<void> truncate(std::uint64_t size) override { return file_->truncate(size); }
    Result<std::uint64_t> size() override { return file_->size(); }
    void start_writeback(std::uint64_t at, std::uint64_t size) override {
      file_->start_writeback(at, size);
    }

   private:
    std::unique_ptr<File> file_;
  };
  Disk& disk_;
};

TEST_F(LogCrash, CatchesAcksBeforeTheSync) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CrashRun run(seed);
    LyingDisk liar(run.machine().disk());
    run.machine().set_view(liar);
    const auto violation = run.run();
    if (violation && violation->find(" lost offset ") != std::string::npos) return;
  }
  FAIL() << "100 seeds have not noticed that the journal was never synced";
}

}  // namespace
}  // namespace sluice::log
