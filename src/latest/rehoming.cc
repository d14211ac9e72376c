#include "latest/rehoming.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/logger.h"
#include "runtime/ask.h"

namespace sluice::latest {
namespace {

constexpr Logger logger("latest");
constexpr std::size_t rows_max = 256;  // moved at a time
constexpr runtime::Duration retry_delay = std::chrono::milliseconds(100);

}  // namespace

// Rows of one portion, on their way to several shards.
struct Rehoming::Sending {
  std::size_t open = 1;
  bool failed = false;
  std::optional<std::string> next;  // of the portion
};

// Rows that came from one shard: first each is looked at, then their slots are made durable.
struct Rehoming::Taking {
  std::size_t open;
  Done<void> done;
  std::set<std::uint32_t> slots{};
  Result<void> result{};

  // True: that was the last one.
  bool finish_one(Result<void> one) {
    if (result) result = std::move(one);
    return --open == 0;
  }
};

Rehoming::Rehoming(Place& place, runtime::Mailboxes& mailboxes, Folds& folds,
                   std::function<Rehoming&(ShardId)> on_shard)
    : place_(place), mailboxes_(mailboxes), folds_(folds), on_shard_(std::move(on_shard)) {}

// --- away from here

void Rehoming::check(Partition partition, std::string begin) {
  const std::size_t first = under_way_ ? 1 : 0;  // what is under way may be past a new row
  const auto same = [&](const Check& other) {
    return other.partition == partition && other.begin == begin;
  };
  if (checks_.size() > first &&
      std::any_of(checks_.begin() + static_cast<std::ptrdiff_t>(first), checks_.end(), same))
    return;
  const auto* stream = place_.stream->catalogue().find(partition.stream);
  if (!stream) return;
  std::string from = rows_of(partition) + begin;
  checks_.push_back({partition, std::move(begin), std::move(from), stream->config.partitions});
  start();
}

void Rehoming::on_row(Partition partition, std::string_view record_key) {
  if (!moving_.empty()) moving_.erase(rows_of(partition) + to_ordered(record_key));
}

bool Rehoming::idle(StreamId stream) const {
  return std::ranges::none_of(checks_,
                              [&](const Check& check) { return check.partition.stream == stream; });
}

void Rehoming::forget(StreamId stream) {
  // The one under way notices by itself.
  const auto first = checks_.begin() + (under_way_ ? 1 : 0);
  checks_.erase(
      std::remove_if(first, checks_.end(),
                     [&](const Check& check) { return check.partition.stream == stream; }),
      checks_.end());
}

void Rehoming::start() {
  if (under_way_ || checks_.empty()) return;
  under_way_ = true;
  step();
}

void Rehoming::step() {
  const Check& check = checks_.front();
  if (!folds_.knows(check.partition)) return go_on(std::nullopt);
  place_.table->scan(slot_of(check.partition),
                     {.from = check.from,
                      .until = end_of(rows_of(check.partition) + check.begin),
                      .rows_max = rows_max},
                     [this](const Result<table::Portion>& portion) { on_rows(portion); });
}

void Rehoming::on_rows(const Result<table::Portion>& portion) {
  if (!portion) return retry_later();
  const Partition here = checks_.front().partition;
  const auto* stream = place_.stream->catalogue().find(here.stream);
  if (!stream) return go_on(std::nullopt);
  const std::string prefix = place_.topics->prefix_of(*stream);
  std::map<ShardId, std::vector<Move>> moves;
  for (const table::Row& row : portion->rows) {
    const std::string topic =
        prefix + to_record_key(std::string_view(row.key).substr(rows_prefix_size));
    const auto to = place_.topics->partition_of(topic);
    if (!to || *to == here) continue;
    const auto* target = place_.stream->catalogue().find(to->stream);
    if (!target) continue;
    const std::size_t key_at = place_.topics->prefix_of(*target).size();
    Move move{*to, rows_of(*to) + to_ordered(std::string_view(topic).substr(key_at)), row.value};
    moves[place_.stream->home(*to)].push_back(std::move(move));
    moving_.insert(row.key);
  }
  auto sending = std::make_shared<Sending>(Sending{.next = portion->next});
  for (auto& [shard, some] : moves) {
    ++sending->open;
    send(std::move(some), shard, sending);
  }
  if (--sending->open == 0) on_sent(*sending);
}

void Rehoming::send(std::vector<Move> moves, ShardId to, const std::shared_ptr<Sending>& sending) {
  auto result = std::make_shared<Result<void>>();
  runtime::ask(
      mailboxes_, place_.shard, to,
      [&there = on_shard_(to), moves = std::move(moves), result](Task reply) mutable {
        there.take(std::move(moves),
                   [result, reply = std::move(reply)](Result<void> taken) mutable {
                     *result = std::move(taken);
                     reply();
                   });
      },
      [this, sending, result] {
        if (!*result) sending->failed = true;
        if (--sending->open == 0) on_sent(*sending);
      });
}

void Rehoming::on_sent(const Sending& sending) {
  if (sending.failed) return retry_later();
  const std::uint32_t slot = slot_of(checks_.front().partition);
  for (const std::string& key : std::exchange(moving_, {}))
    place_.table->put_behind(slot, key, std::nullopt);
  go_on(sending.next);
}

void Rehoming::retry_later() {
  moving_.clear();
  place_.loop->run_after(retry_delay, [this] { step(); });
}

void Rehoming::go_on(const std::optional<std::string>& next) {
  if (next) {
    checks_.front().from = *next;
    return place_.loop->post([this] { step(); });
  }
  const Check check = std::move(checks_.front());
  checks_.pop_front();
  under_way_ = false;
  if (check.begin.empty()) folds_.set_placed(check.partition, check.partitions);
  start();
  if (progressed_) progressed_();
}

// --- to here

void Rehoming::take(std::vector<Move> moves, Done<void> done) {
  for (const Move& move : moves)
    if (!folds_.knows(move.to))
      return done(
          fail(Errc::not_found, "a partition to which retained messages move is not known"));
  if (moves.empty()) return done({});
  auto taking = std::make_shared<Taking>(Taking{.open = moves.size(), .done = std::move(done)});
  for (Move& move : moves) {
    taking->slots.insert(slot_of(move.to));
    look(std::move(move), taking);
  }
}

void Rehoming::look(Move move, const std::shared_ptr<Taking>& taking) {
  const std::uint32_t slot = slot_of(move.to);
  std::string key = move.row_key;
  place_.table->get(
      slot, std::move(key),
      [this, move = std::move(move), taking](Result<std::optional<Buffer>> found) mutable {
        if (found) take_one(std::move(move), *found);
        auto looked = found ? Result<void>() : std::unexpected(std::move(found.error()));
        if (taking->finish_one(std::move(looked))) flush(taking);
      });
}

void Rehoming::take_one(Move move, const std::optional<Buffer>& found) {
  const auto row = decode_row(move.row);
  const auto there = found ? decode_row(*found) : fail(Errc::not_found, "no row");
  const bool newer_is_there = there && there->version > Row::moved;
  if (!row || newer_is_there) return;
  const std::uint32_t slot = slot_of(move.to);
  if (row->cleared()) return place_.table->put_behind(slot, std::move(move.row_key), std::nullopt);
  set_moved(move.row);
  place_.table->put_behind(slot, std::move(move.row_key), std::move(move.row));
  folds_.note_moved_row(move.to);
}

void Rehoming::flush(const std::shared_ptr<Taking>& taking) {
  if (!taking->result) return taking->done(std::move(taking->result));
  taking->open = taking->slots.size();
  for (const std::uint32_t slot : taking->slots)
    place_.table->flush(slot, [taking](Result<void> flushed) {
      if (taking->finish_one(std::move(flushed))) taking->done(std::move(taking->result));
    });
}

}  // namespace sluice::latest
