#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "http/message.h"

namespace sluice::http {

struct Limits {
  std::size_t header_max = 16 << 10;  // bytes of request line and headers; beyond: 431
  std::size_t body_max = 1 << 20;     // beyond: 413
};

// HTTP/1.1 requests out of a stream of bytes (RFC 9112), by Beast's parser. No socket, no clock.
class Parser {
 public:
  explicit Parser(Limits limits);
  ~Parser();

  // Takes bytes of the request under way; returns how many. What is left belongs to the next
  // request, for which take() makes room. After an error nothing more is taken.
  std::size_t feed(Bytes bytes);
  // The request, once it is whole; the parser then begins the next one.
  std::optional<Request> take();
  // The status to answer with (400, 413, 431) before the connection is closed; 0 while all is well.
  [[nodiscard]] int error_status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
  Limits limits_;
};

}  // namespace sluice::http
