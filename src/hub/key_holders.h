#pragma once

#include <cstdint>
#include <memory>
#include <optional>

namespace sluice::hub {

// Which member of a shared subscription has records of a key open. As long as it does, further ones
// of that key go to it, too: so no two members work on one key at a time, and yet few keys spread
// over many members.
//
// Keys are told apart by some bits of their hash: two that are not share a member for a while.
class KeyHolders {
 public:
  // The member, by its index.
  [[nodiscard]] std::optional<std::uint32_t> find(std::uint32_t key_hash) const {
    if (!holders_ || at(key_hash).open == 0) return std::nullopt;
    return at(key_hash).member;
  }
  // The member was given one more. Whoever held the key before has been passed by.
  void hold(std::uint32_t key_hash, std::uint32_t member) {
    if (!holders_) holders_ = std::make_unique<Holder[]>(count);
    Holder& holder = at(key_hash);
    if (holder.member != member) holder = {member, 0};
    ++holder.open;
  }
  // One is not open any more.
  void release(std::uint32_t key_hash, std::uint32_t member) {
    Holder& holder = at(key_hash);
    if (holder.member == member && holder.open > 0) --holder.open;
  }

 private:
  struct Holder {
    std::uint32_t member = 0;
    std::uint32_t open = 0;
  };
  static constexpr std::uint32_t count = 1024;  // 8 KiB a group

  [[nodiscard]] Holder& at(std::uint32_t key_hash) const { return holders_[key_hash % count]; }

  std::unique_ptr<Holder[]> holders_;  // made with the first one
};

}  // namespace sluice::hub
