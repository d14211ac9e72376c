#include "kafka/fetch_job.h"

namespace sluice::kafka {

// Sessions (KIP-227) are not offered: every answer carries session id 0, and clients name all
// partitions each time.
void handle(Call& call, const FetchRequest& request, Reply<FetchResponse> reply) {
  const bool continues_session = request.session_id != 0 && request.session_epoch > 0;
  if (continues_session) return reply.send({.error_code = ErrorCode::fetch_session_id_not_found});
  const auto job = std::make_shared<FetchJob>(call.services, request, std::move(reply));
  job->take(call, request);
  job->start();
}

}  // namespace sluice::kafka
