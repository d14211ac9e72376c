#include "mqtt/connection_context.h"

#include <limits>
#include <utility>

#include "base/assert.h"
#include "mqtt/connection.h"

namespace sluice::mqtt {

namespace {

constexpr std::size_t read_buffer_size = 256 << 10;  // what is carried over, and a read's share
constexpr std::size_t pooled_buffers_max = 256;
constexpr std::size_t pooled_capacity_max = 1 << 20;

}  // namespace

std::unique_ptr<Buffer> BufferPool::acquire() {
  if (free_.empty()) return std::make_unique<Buffer>();
  auto buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

void BufferPool::release(std::unique_ptr<Buffer> buffer) {
  if (free_.size() >= pooled_buffers_max || buffer->capacity() > pooled_capacity_max) return;
  buffer->clear();
  free_.push_back(std::move(buffer));
}

ConnectionContext::ConnectionContext(runtime::Loop& l, hub::Hub& h, delayed::Delayed& d,
                                     access::Access& a, Metrics& m, Options o)
    : loop(l),
      hub(h),
      delayed(d),
      access(a),
      metrics(m),
      options(std::move(o)),
      counters(metrics),
      delivery{.counters = counters, .properties = {}, .encoded = {}, .shared = {}},
      read_buffer(read_buffer_size),
      wills(loop, hub, options, counters) {}

ConnectionContext::~ConnectionContext() = default;

std::uint8_t ConnectionContext::add_listener(std::shared_ptr<Listener> listener) {
  SLUICE_ASSERT(listeners.size() <= std::numeric_limits<std::uint8_t>::max());
  listeners.push_back(std::make_unique<ListenerContext>(*this, std::move(listener)));
  return static_cast<std::uint8_t>(listeners.size() - 1);
}

std::uint32_t ConnectionContext::now_s() const {
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::seconds>(loop.now().time_since_epoch());
  return static_cast<std::uint32_t>(since_epoch.count());
}

}  // namespace sluice::mqtt
