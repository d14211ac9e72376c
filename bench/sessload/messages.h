#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sessload/options.h"

namespace sessload {

// What the messages for sessions look like.
class Messages {
 public:
  explicit Messages(const Options& options) : options_(options) {}

  // Of the messages for session `number`; valid until the next call.
  std::string_view topic(std::uint32_t number);

  void put_payload(std::string& out, std::uint32_t number, std::uint32_t sequence) const;

  // Of a payload that session `number` got. A Fault if it is not one that was made for it.
  [[nodiscard]] std::uint32_t sequence_in(std::string_view payload, std::uint32_t number) const;

 private:
  // The first word of a payload.
  [[nodiscard]] std::uint32_t whose(std::uint32_t number) const {
    return options_.run << 20 | number;
  }

  const Options& options_;
  std::string topic_;
};

}  // namespace sessload
