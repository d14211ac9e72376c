#include "hub/replay_start.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace sluice::hub {

namespace {

// Gathers the answers of the partitions.
class Starting {
 public:
  Starting(const stream::StreamInfo& info, const StartPoint& from, Done<std::vector<Offset>> done)
      : stream_(info.name),
        from_(from),
        starts_(info.config.partitions),
        waiting_(info.config.partitions),
        done_(std::move(done)) {}

  void on_resolved(std::uint32_t partition, const Result<stream::Resolved>& answer) {
    if (answer)
      starts_[partition] = answer->next;
    else
      fail_with(answer.error());
    finish_one();
  }

  void on_bounds(std::uint32_t partition, const Result<stream::Bounds>& bounds) {
    const Offset wanted{from_.value};
    if (!bounds) {
      fail_with(bounds.error());
    } else if (wanted < bounds->start) {
      fail_with({Errc::out_of_range,
                 fmt::format("offset {} of stream '{}', partition {}, is gone: it begins at {}",
                             wanted.value, stream_, partition, bounds->start.value)});
    } else {
      starts_[partition] = std::min(wanted, bounds->visible_end);
      end_ = std::max(end_, bounds->visible_end);
    }
    finish_one();
  }

 private:
  void fail_with(Error error) {
    if (!error_) error_ = std::move(error);
  }

  void finish_one() {
    if (--waiting_ > 0) return;
    if (from_.kind == StartPoint::Kind::offset && Offset{from_.value} > end_)
      fail_with({Errc::out_of_range, fmt::format("offset {} of stream '{}' is beyond its end, {}",
                                                 from_.value, stream_, end_.value)});
    if (error_) return done_(std::unexpected(std::move(*error_)));
    done_(std::move(starts_));
  }

  const std::string stream_;
  const StartPoint from_;
  std::vector<Offset> starts_;
  std::uint32_t waiting_;  // partitions without an answer
  Offset end_{};           // the highest of all partitions
  std::optional<Error> error_;
  Done<std::vector<Offset>> done_;
};

stream::Start start_of(StartPoint::Kind kind) {
  switch (kind) {
    case StartPoint::Kind::latest:
      return stream::Start::latest;
    case StartPoint::Kind::time:
      return stream::Start::at_time;
    default:
      return stream::Start::earliest;
  }
}

}  // namespace

void resolve_start(stream::Stream& stream, const stream::StreamInfo& info, const StartPoint& from,
                   Done<std::vector<Offset>> done) {
  const bool is_offset = from.kind == StartPoint::Kind::offset && from.value > 0;
  const StartPoint meant = is_offset || from.kind != StartPoint::Kind::offset
                               ? from
                               : StartPoint{StartPoint::Kind::earliest};
  const auto starting = std::make_shared<Starting>(info, meant, std::move(done));
  const StreamId id = info.id;
  const std::uint32_t partitions = info.config.partitions;  // `info` may go within the calls
  for (std::uint32_t i = 0; i < partitions; ++i) {
    if (is_offset)
      stream.bounds({id, i}, [starting, i](const Result<stream::Bounds>& bounds) {
        starting->on_bounds(i, bounds);
      });
    else
      stream.resolve({id, i}, start_of(meant.kind), meant.value,
                     [starting, i](const Result<stream::Resolved>& answer) {
                       starting->on_resolved(i, answer);
                     });
  }
}

}  // namespace sluice::hub
