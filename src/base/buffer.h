#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <new>
#include <utility>

namespace sluice {

// Bytes that grow: what std::vector<std::byte> would be if resize() left new bytes uninitialized
// (they are about to be read from a socket or a file) and growing moved them by realloc. Whoever
// resizes writes every byte before it is read.
class Buffer {
 public:
  using value_type = std::byte;
  using iterator = std::byte*;
  using const_iterator = const std::byte*;

  Buffer() = default;
  explicit Buffer(std::size_t size) { resize(size); }
  Buffer(std::size_t size, std::byte fill) : Buffer(size) { std::fill_n(data_, size, fill); }
  template <std::forward_iterator It>
  Buffer(It first, It last) : Buffer(static_cast<std::size_t>(std::distance(first, last))) {
    std::copy(first, last, data_);
  }
  Buffer(std::initializer_list<std::byte> bytes) : Buffer(bytes.begin(), bytes.end()) {}
  Buffer(const Buffer& other) : Buffer(other.begin(), other.end()) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() { std::free(data_); }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] iterator begin() { return data_; }
  [[nodiscard]] iterator end() { return data_ + size_; }
  [[nodiscard]] const_iterator begin() const { return data_; }
  [[nodiscard]] const_iterator end() const { return data_ + size_; }
  std::byte& operator[](std::size_t i) { return data_[i]; }
  const std::byte& operator[](std::size_t i) const { return data_[i]; }
  [[nodiscard]] std::byte& front() { return data_[0]; }
  [[nodiscard]] std::byte& back() { return data_[size_ - 1]; }

  void clear() { size_ = 0; }
  void resize(std::size_t size) {
    if (size > capacity_) grow(size);
    size_ = size;
  }
  void reserve(std::size_t capacity) {
    if (capacity > capacity_) reallocate(capacity);
  }
  void shrink_to_fit() {
    if (capacity_ > size_) reallocate(size_);
  }
  void push_back(std::byte byte) {
    resize(size_ + 1);
    data_[size_ - 1] = byte;
  }
  // `bytes` must not lie in this buffer.
  void append(const std::byte* bytes, std::size_t count) {
    if (count == 0) return;
    resize(size_ + count);
    std::memcpy(data_ + size_ - count, bytes, count);
  }
  void erase_front(std::size_t count) {
    size_ -= count;
    if (size_ > 0) std::memmove(data_, data_ + count, size_);
  }
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  friend bool operator==(const Buffer& a, const Buffer& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  void grow(std::size_t size) {
    reallocate(std::max({size, capacity_ + capacity_ / 2, std::size_t{32}}));
  }
  void reallocate(std::size_t capacity) {
    if (capacity == 0) {
      std::free(std::exchange(data_, nullptr));
    } else {
      void* const moved = std::realloc(data_, capacity);
      if (!moved) throw std::bad_alloc();
      data_ = static_cast<std::byte*>(moved);
    }
    capacity_ = capacity;
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace sluice
