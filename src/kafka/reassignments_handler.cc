#include "kafka/handlers.h"

namespace sluice::kafka {

// `kafka-topics --describe` asks.
void handle(Call& /*call*/, const ListPartitionReassignmentsRequest& /*request*/,
            Reply<ListPartitionReassignmentsResponse> reply) {
  reply.send({});
}

}  // namespace sluice::kafka
