#include "table/holds.h"

#include <utility>
#include <vector>

namespace sluice::table {
namespace {

constexpr auto check_delay = std::chrono::seconds(30);

struct Found {
  std::uint32_t slot;
  FoldState fold;
};

}  // namespace

Holds::Holds(runtime::Loop& loop, stream::Stream& stream, std::shared_ptr<Store> store,
             log::Helper& helper, std::string table)
    : loop_(loop),
      stream_(stream),
      store_(std::move(store)),
      helper_(helper),
      table_(std::move(table)) {}

Holds::~Holds() {
  if (timer_ != runtime::TimerId::none) loop_.cancel(timer_);
}

void Holds::on_stored(std::uint32_t slot) {
  slots_.insert(slot);
  if (timer_ != runtime::TimerId::none) return;
  timer_ = loop_.run_after(check_delay, [this] {
    timer_ = runtime::TimerId::none;
    check();
  });
}

// A slot whose fold state is not durable yet is asked for again at its next write; its hold is low
// till then, which costs disk, nothing else.
void Holds::check() {
  helper_.run(
      [store = store_, table = table_, slots = std::exchange(slots_, {})] {
        std::vector<Found> all;
        for (const auto slot : slots) {
          const auto fold = store->persisted(table, slot);
          if (fold && *fold) all.push_back({slot, **fold});
        }
        return all;
      },
      guard_([this](const std::vector<Found>& all) {
        for (const auto& [slot, fold] : all) {
          if (fold.stream == stream_id_) stream_.hold({stream_id_, slot}, fold.next);
        }
      }));
}

}  // namespace sluice::table
