#include "table/reader.h"

#include <utility>

#include "table/merge.h"

namespace sluice::table {
namespace {

constexpr std::size_t reads_max = 4096;  // under way; beyond: busy

}  // namespace

Reader::Reader(runtime::Loop& loop, std::shared_ptr<Store> store, Slots& slots, std::string table)
    : store_(std::move(store)),
      slots_(slots),
      table_(std::move(table)),
      helper_(loop, "table-read") {}

// `then` lays the overlay, as it is by then, over what the store had.
template <class T, class Job, class Then>
void Reader::read(Job job, Then then, Done<T> done) {
  if (begun_ - done_ >= reads_max)
    return done(fail(Errc::busy, "table {}: {} reads are under way", table_, reads_max));
  ++begun_;
  helper_.run(std::move(job),
              [this, then = std::move(then), done = std::move(done)](Result<T> found) mutable {
                if (found) then(*found);
                ++done_;
                drop_stored();
                done(std::move(found));
              });
}

void Reader::get(std::uint32_t slot, std::string key, Done<std::optional<Buffer>> done) {
  const auto& overlay = slots_[slot].overlay();
  if (const auto found = overlay.find(key); found != overlay.end())
    return done(found->second.value);
  if (!may_be_stored_[slot]) return done(std::nullopt);
  auto stored = [store = store_, table = table_, slot, key] {
    return store->get(table, slot, key);
  };
  read<std::optional<Buffer>>(
      std::move(stored),
      [&overlay, key = std::move(key)](std::optional<Buffer>& value) {
        if (const auto found = overlay.find(key); found != overlay.end())
          value = found->second.value;
      },
      std::move(done));
}

void Reader::scan(std::uint32_t slot, Range range, Done<Portion> done) {
  const auto& overlay = slots_[slot].overlay();
  if (!may_be_stored_[slot]) {
    Portion portion;
    merge_overlay(portion, overlay, range);
    return done(std::move(portion));
  }
  auto stored = [store = store_, table = table_, slot, range] {
    return store->scan(table, slot, range);
  };
  read<Portion>(
      std::move(stored),
      [&overlay, range = std::move(range)](Portion& portion) {
        merge_overlay(portion, overlay, range);
      },
      std::move(done));
}

void Reader::on_stored(std::uint32_t slot, Offset until) {
  set_stored(slot);
  drops_.push_back({slot, until, begun_});
  drop_stored();
}

void Reader::drop_stored() {
  for (; !drops_.empty() && drops_.front().reads <= done_; drops_.pop_front())
    slots_[drops_.front().slot].stored(drops_.front().until);
}

}  // namespace sluice::table
