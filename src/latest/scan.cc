#include "latest/scan.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace sluice::latest {
namespace {

constexpr std::size_t rows_max = 1000;  // of a portion
constexpr std::size_t pace_min = 16;
constexpr std::size_t steps_max = 16;  // then a portion is answered even if it is empty

}  // namespace

Scan::Scan(Place& place, Want want, std::string_view prefix, Done<Portion> done)
    : place_(place),
      want_(std::move(want)),
      filter_(prefix, want_.filter),
      done_(std::move(done)),
      rows_(rows_of(want_.partition)),
      pace_(rows_max) {
  const std::string end = filter_.end();
  until_ = end.empty() ? end_of(rows_) : rows_ + end;
  from_ = want_.from;
}

void Scan::step() {
  auto from = filter_.seek(from_);
  if (!from) return answer(std::nullopt);
  if (++steps_ > steps_max) return answer(std::move(from));
  place_.table->scan(slot_of(want_.partition),
                     {.from = rows_ + *from,
                      .until = until_,
                      .rows_max = std::min(pace_, rows_max - builder_.count()),
                      .bytes_max = want_.bytes_max},
                     [self = shared_from_this()](Result<table::Portion> portion) {
                       if (!portion) return self->done_(std::unexpected(portion.error()));
                       self->on_rows(std::move(*portion));
                     });
}

void Scan::on_rows(table::Portion portion) {
  std::string wanted;  // the next key that may be covered
  std::size_t useful = 0;
  for (const table::Row& row : portion.rows) {
    const std::string_view key = std::string_view(row.key).substr(rows_prefix_size);
    if (key < wanted) continue;
    auto sought = filter_.seek(key);
    if (!sought) return answer(std::nullopt);
    wanted = std::move(*sought);
    ++useful;
    if (key != wanted) continue;
    if (!take(row)) return answer(std::move(wanted));
    wanted += '\0';
  }
  choose_pace(portion.rows.size(), useful);
  if (!portion.next) return answer(std::nullopt);
  from_ = std::max(wanted, portion.next->substr(std::min(rows_prefix_size, portion.next->size())));
  if (builder_.count() >= rows_max) return answer(filter_.seek(from_));
  step();
}

bool Scan::take(const table::Row& found) {
  const auto row = decode_row(found.value);
  if (!row || row->cleared() || row->version >= want_.before) return true;
  const auto expiry = expires_at(*row);
  if (expiry && *expiry <= place_.loop->wall_ms()) {
    place_.table->put_behind(slot_of(want_.partition), found.key, std::nullopt);
    return true;
  }
  const bool first = builder_.empty();
  if (first) first_timestamp_ = row->timestamp;
  // A batch can say timestamps that are 24 days apart; they matter where something is to expire.
  const WallMs apart = std::abs(row->timestamp - first_timestamp_);
  if (expiry && apart > std::numeric_limits<std::int32_t>::max()) return false;
  if (!first && builder_.size() + found.value.size() > want_.bytes_max) return false;
  const std::string key = to_record_key(std::string_view(found.key).substr(rows_prefix_size));
  builder_.add(row->timestamp, {.key = as_bytes(key),
                                .value = row->value,
                                .headers = row->headers,
                                .headers_count = row->headers_count,
                                .flags = row->flags});
  published_at_.push_back(row->version == Row::moved ? Portion::elsewhere : row->version);
  return true;
}

// Where much is read in vain, less is read before the next seek.
void Scan::choose_pace(std::size_t looked_at, std::size_t useful) {
  pace_ = useful * 8 < looked_at ? std::max(pace_ / 4, pace_min) : std::min(pace_ * 4, rows_max);
}

void Scan::answer(std::optional<std::string> next) {
  Portion portion{.block = builder_.empty() ? nullptr : builder_.finish(),
                  .published_at = std::move(published_at_),
                  .next = std::move(next)};
  done_(std::move(portion));
}

}  // namespace sluice::latest
