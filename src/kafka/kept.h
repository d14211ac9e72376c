#pragma once

#include "base/assert.h"
#include "kafka/reply.h"

namespace sluice::kafka {

// A request that outlives its handler's call: a copy, with its own bytes behind the views inside.
template <class Request>
class Kept {
 public:
  // `request` as it was decoded for `reply`.
  Kept(Request request, const ReplyPath& reply) {
    const bool flexible = reply.api().flexible(reply.version());
    Encoder(frame_, reply.version(), flexible).message(request);
    auto decoded = Decoder(frame_.bytes, reply.version(), flexible).template message<Request>();
    SLUICE_ASSERT(decoded);
    request_ = std::move(*decoded);
  }
  const Request& operator*() const { return request_; }
  const Request* operator->() const { return &request_; }

 private:
  Frame frame_;
  Request request_;
};

}  // namespace sluice::kafka
