#include "kafka/handlers.h"
#include "kafka/messages.h"

namespace sluice::kafka {

Result<void> dispatch(Call& call, const Request& request, ReplyPath reply) {
  const RequestHeader& header = request.header;
  return visit_messages(header.api->key, [&]<class Message, class Response>() -> Result<void> {
    Decoder decoder(request.body, header.version, header.api->flexible(header.version));
    SLUICE_TRY_ASSIGN(const auto message, decoder.message<Message>());
    handle(call, message, Reply<Response>(std::move(reply)));
    return {};
  });
}

}  // namespace sluice::kafka
