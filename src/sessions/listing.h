#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/page_query.h"
#include "base/task.h"
#include "sessions/evidence.h"
#include "sessions/record.h"
#include "sessions/sessions.h"
#include "table/table.h"

namespace sluice::sessions {

Summary summary_of(std::string client_id, const Meta& meta);
// Of pages of several shards; each has the lowest ids of its own.
Page merge_pages(std::vector<Page> pages, std::size_t limit);

// Finds one page of the sessions of one shard: its slots one after another, each in portions. Lives
// until it has answered.
class Listing : public std::enable_shared_from_this<Listing> {
 public:
  Listing(const Place& place, PageQuery query, Done<Page> done)
      : place_(place), query_(std::move(query)), done_(std::move(done)) {}
  void start();

 private:
  void step(std::string from);
  void on_portion(Result<table::Portion> portion);
  // False: what follows in this slot is beyond the page.
  bool take(const table::Row& row);
  void next_slot();
  void answer();

  const Place& place_;
  const PageQuery query_;
  Done<Page> done_;
  std::uint32_t slot_ = 0;
  std::map<std::string, Summary> found_;  // the lowest ids so far, one more than asked for
};

}  // namespace sluice::sessions
