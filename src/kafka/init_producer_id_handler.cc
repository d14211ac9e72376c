#include "kafka/handlers.h"

namespace sluice::kafka {

// A producer without transactions always gets a new id, whatever id it had before. Ids count from a
// random start, so that none is given twice by another shard or after a restart.
void handle(Call& call, const InitProducerIdRequest& request, Reply<InitProducerIdResponse> reply) {
  if (request.transactional_id) return reply.send({.error_code = ErrorCode::unsupported_version});
  reply.send({.producer_id = call.services.next_producer_id++, .producer_epoch = 0});
}

}  // namespace sluice::kafka
