#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace sluice::mqtt {

// How far a QoS 2 publish from a client has come.
enum class ReceiveState : std::uint8_t {
  none,      // the packet id is free
  taken,     // waits for its PUBREC
  received,  // PUBREC was sent: waits for PUBREL; a PUBLISH of this id is a repeat
};

// The packet ids of a client's QoS 2 publishes that are not complete. The client chooses them as it
// likes, so they are found by index: two bits each, in pages that are there while one of their ids
// is in use. A client that counts its ids up needs one or two pages, the worst one 16 KiB.
class ReceivedIds {
 public:
  [[nodiscard]] std::uint32_t size() const { return size_; }

  [[nodiscard]] ReceiveState state(std::uint16_t id) const {
    const Page* page = pages_[page_of(id)].get();
    return page ? static_cast<ReceiveState>(page->words[word_of(id)] >> shift(id) & 3)
                : ReceiveState::none;
  }

  void set(std::uint16_t id, ReceiveState state) {
    const ReceiveState before = this->state(id);
    if (state == before) return;
    Page& page = use(page_of(id));
    std::uint64_t& word = page.words[word_of(id)];
    word = (word & ~(std::uint64_t{3} << shift(id))) | static_cast<std::uint64_t>(state)
                                                           << shift(id);
    if (before == ReceiveState::none) {
      ++page.open;
      ++size_;
    } else if (state == ReceiveState::none) {
      --page.open;
      --size_;
      if (page.open == 0 && page_of(id) != last_) pages_[page_of(id)].reset();
    }
  }

  // Calls visit(id) for each that had its PUBREC.
  template <class Visit>
  void for_each_received(Visit visit) const {
    for (std::uint32_t page = 0; page < pages_.size(); ++page) {
      if (!pages_[page]) continue;
      for (std::uint32_t i = 0; i < ids_per_page; ++i) {
        const auto id = static_cast<std::uint16_t>(page * ids_per_page + i);
        if (state(id) == ReceiveState::received) visit(id);
      }
    }
  }

  void release_memory_if_empty() {
    if (size_ == 0) pages_[last_].reset();
  }

 private:
  static constexpr std::uint32_t ids_per_word = 32;
  static constexpr std::uint32_t ids_per_page = 1024;
  struct Page {
    std::array<std::uint64_t, ids_per_page / ids_per_word> words{};
    std::uint32_t open = 0;  // ids that are not free
  };

  static std::uint32_t page_of(std::uint16_t id) { return id / ids_per_page; }
  static std::uint32_t word_of(std::uint16_t id) { return id % ids_per_page / ids_per_word; }
  static unsigned shift(std::uint16_t id) { return id % ids_per_word * 2; }

  // The page used last stays when it is empty, and moves on with the client's ids: counting up
  // costs no allocation.
  Page& use(std::uint32_t index) {
    if (!pages_[index]) {
      if (pages_[last_] && pages_[last_]->open == 0)
        pages_[index] = std::move(pages_[last_]);
      else
        pages_[index] = std::make_unique<Page>();
      last_ = index;
    }
    return *pages_[index];
  }

  std::array<std::unique_ptr<Page>, 65'536 / ids_per_page> pages_;
  std::uint32_t last_ = 0;  // page that was put into use last
  std::uint32_t size_ = 0;
};

}  // namespace sluice::mqtt
