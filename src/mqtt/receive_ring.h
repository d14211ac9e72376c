#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/assert.h"
#include "mqtt/publish_answer.h"

namespace sluice::mqtt {

// The publishes of a client that wait for their PUBACK or PUBREC, in the order they came:
// acknowledgements keep that order ([MQTT-4.6.0-2], [MQTT-4.6.0-3]). A ring that grows by doubling
// up to what the receive maximum needs; the caller keeps to it.
class ReceiveRing {
 public:
  struct Entry {
    std::uint64_t sequence;
    std::uint16_t packet_id;
    std::uint8_t qos;  // 1 or 2
    PublishAnswer answer;
    bool decided;  // the answer is known before the sequence is durable
  };

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] Entry& front() { return at(0); }
  [[nodiscard]] Entry& back() { return at(size_ - 1); }
  void push(const Entry& entry) {
    if (size_ == capacity_) grow();
    ++size_;
    at(size_ - 1) = entry;
  }
  void pop() {
    SLUICE_ASSERT(size_ > 0);
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
  }
  // Null if none has it. Only for publishes that failed.
  [[nodiscard]] Entry* find(std::uint64_t sequence) {
    for (std::uint32_t i = 0; i < size_; ++i)
      if (at(i).sequence == sequence) return &at(i);
    return nullptr;
  }
  // Gives the memory of an empty ring back.
  void release_if_empty() {
    if (size_ > 0) return;
    entries_.reset();
    capacity_ = head_ = 0;
  }

 private:
  Entry& at(std::uint32_t i) { return entries_[(head_ + i) & (capacity_ - 1)]; }
  void grow() {
    const std::uint32_t capacity = capacity_ == 0 ? 8 : 2 * capacity_;
    auto entries = std::make_unique_for_overwrite<Entry[]>(capacity);
    for (std::uint32_t i = 0; i < size_; ++i) entries[i] = at(i);
    entries_ = std::move(entries);
    capacity_ = capacity;
    head_ = 0;
  }

  std::unique_ptr<Entry[]> entries_;
  std::uint32_t capacity_ = 0;  // 0 or a power of two
  std::uint32_t head_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace sluice::mqtt
