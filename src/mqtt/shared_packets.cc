#include "mqtt/shared_packets.h"

#include <algorithm>

#include "base/bytes.h"

namespace sluice::mqtt {

SharedPackets::State SharedPackets::find(const hub::DeliveryBatch& batch, std::size_t done,
                                         Version version, WallMs now) {
  if (is_of(batch, version, now)) {
    // Whoever goes on where its output was full is not another one.
    if (state_ == State::unknown && done == 0) state_ = State::wanted;
    return state_;
  }
  block_ = batch.block;
  runs_.clear();
  for (const auto& [record, count, grant] : batch.deliveries)
    runs_.push_back({record, count, grant->retain_as_published});
  origin_ = batch.origin;
  version_ = version;
  now_ = now;
  state_ = State::unknown;
  return state_;
}

bool SharedPackets::is_of(const hub::DeliveryBatch& batch, Version version, WallMs now) const {
  return block_ == batch.block && version_ == version && now_ == now && origin_ == batch.origin &&
         std::ranges::equal(runs_, batch.deliveries,
                            [](const Run& run, const hub::Delivery& delivery) {
                              return run.record == delivery.record && run.count == delivery.count &&
                                     run.retain_as_published == delivery.grant->retain_as_published;
                            });
}

Buffer& SharedPackets::begin() {
  packets_.clear();
  ends_.clear();
  return packets_;
}

std::size_t SharedPackets::copy(std::size_t done, std::size_t out_max, Buffer& out) const {
  if (out.size() >= out_max) return 0;
  const std::size_t from = done == 0 ? 0 : ends_[done - 1];
  // The packet that passes the limit is the last.
  const std::size_t room_until = from + (out_max - out.size());
  const auto first = ends_.begin() + static_cast<std::ptrdiff_t>(done);
  auto last = std::lower_bound(first, ends_.end(), room_until);
  if (last != ends_.end()) ++last;
  if (last == first) return 0;
  append(out, Bytes(packets_).subspan(from, *std::prev(last) - from));
  return static_cast<std::size_t>(last - first);
}

}  // namespace sluice::mqtt
