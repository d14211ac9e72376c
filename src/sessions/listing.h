#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/page.h"
#include "base/page_query.h"
#include "base/task.h"
#include "sessions/evidence.h"
#include "sessions/groups.h"
#include "sessions/record.h"
#include "sessions/sessions.h"
#include "table/table.h"

namespace sluice::sessions {

Summary summary_of(std::string client_id, const Meta& meta);

// Finds one page of what is stored on one shard, sessions (Summary) or groups (GroupSummary): its
// slots one after another, each in portions. Lives until it has answered.
template <class T>
class Listing : public std::enable_shared_from_this<Listing<T>> {
 public:
  Listing(const Place& place, PageQuery query, Done<Page<T>> done)
      : place_(place), query_(std::move(query)), done_(std::move(done)) {}
  void start();

 private:
  void step(const std::string& from);
  void on_portion(Result<table::Portion> portion);
  // False: what follows in this slot is beyond the page.
  bool take(const table::Row& row);
  void next_slot();
  void answer();

  const Place& place_;
  const PageQuery query_;
  Done<Page<T>> done_;
  std::uint32_t slot_ = 0;
  std::map<std::string, T> found_;  // the lowest ids so far, one more than asked for
};

extern template class Listing<Summary>;
extern template class Listing<GroupSummary>;

}  // namespace sluice::sessions
