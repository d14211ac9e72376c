#include "kafka/topics.h"

namespace sluice::kafka {

// Every group is coordinated here: there is one broker.
void handle(Call& call, const FindCoordinatorRequest& request,
            Reply<FindCoordinatorResponse> reply) {
  if (request.key_type != FindCoordinatorRequest::group) {
    constexpr auto code = ErrorCode::unsupported_version;
    constexpr std::string_view text = "only groups have a coordinator here";
    FindCoordinatorResponse response{.error_code = code, .error_message = std::string(text)};
    for (const auto key : request.coordinator_keys)
      response.coordinators.push_back(
          {.key = std::string(key), .error_code = code, .error_message = std::string(text)});
    return reply.send(std::move(response));
  }
  FindCoordinatorResponse response{
      .node_id = node_id, .host = call.advertised.address, .port = call.advertised.port};
  for (const auto key : request.coordinator_keys)
    response.coordinators.push_back({.key = std::string(key),
                                     .node_id = node_id,
                                     .host = call.advertised.address,
                                     .port = call.advertised.port});
  reply.send(std::move(response));
}

}  // namespace sluice::kafka
