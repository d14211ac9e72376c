// Whatever a client sends: a frame is refused, or it is decoded within its bytes; and what was
// decoded says the same after it was written and read again.

#include <algorithm>
#include <cstdlib>

#include "kafka/frame.h"
#include "kafka/messages.h"

namespace {

using namespace sluice;
using namespace sluice::kafka;

template <class Message>
Buffer encode(Message& message, std::int16_t version, bool flexible) {
  Frame frame;
  Encoder(frame, version, flexible).message(message);
  return std::move(frame.bytes);
}

template <class Message>
void check_body(Bytes body, std::int16_t version, bool flexible) {
  auto message = Decoder(body, version, flexible).message<Message>();
  if (!message) return;
  const Buffer once = encode(*message, version, flexible);
  auto again = Decoder(once, version, flexible).message<Message>();
  if (!again || encode(*again, version, flexible) != once) std::abort();
}

void check_frame(Bytes frame) {
  const auto request = decode_request(frame);
  if (!request || !request->header.supported()) return;
  const auto& header = request->header;
  const bool flexible = header.api->flexible(header.version);
  visit_messages(header.api->key, [&]<class Request, class Response>() {
    check_body<Request>(request->body, header.version, flexible);
    check_body<Response>(request->body, header.version, flexible);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t size_max = 1 << 20;
  Bytes in = std::as_bytes(std::span(data, size));
  while (true) {
    const auto frame = next_frame(in, size_max);
    if (!frame || !*frame) return 0;
    check_frame(**frame);
    in = in.subspan(frame_size_bytes + (*frame)->size());
  }
}
