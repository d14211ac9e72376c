#pragma once

#include <memory>
#include <vector>

#include "kafka/topics.h"

namespace sluice::kafka {

// One fetch request from arrival to answer: reads its partitions in the order of the request, and
// waits while there are fewer than min_bytes to send (a long poll).
//
// What was read stays with the job while it waits, and a partition is read on from there: a large
// min_bytes costs no second reading. Blocks are sent from where they lie.
class FetchJob : public std::enable_shared_from_this<FetchJob> {
 public:
  FetchJob(Services& services, const FetchRequest& request, Reply<FetchResponse> reply);

  void take(const Call& call, const FetchRequest& request);
  void start();

 private:
  struct Part {
    Partition partition;
    Offset next;
    std::size_t bytes_max = 0;
    std::size_t topic = 0;  // place of the answer
    std::size_t index = 0;
    stream::WaitId wait = stream::WaitId::none;
    bool due = true;  // to be read: at first, and when woken
  };

  void take(const Call& call, std::string_view topic, const FetchRequest::Partition& wanted);

  void advance();
  [[nodiscard]] std::size_t budget(const Part& part) const;
  void read(Part& part);
  void on_read(Result<stream::ReadAnswer> answer);
  bool take_block(Part& part, const log::BlockRef& block);
  void set_error(Part& part, ErrorCode code);
  FetchResponse::Partition& answer_of(const Part& part) {
    return response_.topics[part.topic].partitions[part.index];
  }

  void finish_or_wait();
  void wait();
  void on_beyond(std::size_t index);
  void finish();
  void stop_waiting();

  Services& services_;
  Reply<FetchResponse> reply_;
  FetchResponse response_;
  std::vector<Part> parts_;  // those without an error
  std::size_t bytes_max_;
  std::size_t bytes_min_;
  std::size_t bytes_ = 0;
  std::size_t cursor_ = 0;  // the part being read
  runtime::TimePoint deadline_;
  runtime::TimerId timer_ = runtime::TimerId::none;
  bool read_committed_;
  bool complete_ = false;  // there is no use in waiting: an error, or a limit was reached
  bool in_read_call_ = false;
  bool reading_ = false;
  bool wake_posted_ = false;
  bool done_ = false;
};

}  // namespace sluice::kafka
