#include <algorithm>

#include "kafka/handlers.h"

namespace sluice::kafka {

namespace {

// [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? as KIP-511 has it.
bool valid_client_software(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && plain(text.front()) && plain(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return plain(c) || c == '-' || c == '.'; });
}

ApiVersionsResponse all_versions(ErrorCode error) {
  ApiVersionsResponse response{.error_code = error};
  for (const Api& api : all_apis()) {
    response.api_keys.push_back(
        {static_cast<std::int16_t>(api.key), api.version_told, api.version_max});
  }
  return response;
}

}  // namespace

void handle(Call& /*call*/, const ApiVersionsRequest& request, Reply<ApiVersionsResponse> reply) {
  const bool names_client = reply.version() >= 3;
  if (names_client && !(valid_client_software(request.client_software_name) &&
                        valid_client_software(request.client_software_version))) {
    return reply.send({.error_code = ErrorCode::invalid_request});
  }
  reply.send(all_versions(ErrorCode::none));
}

void refuse_api_version(Reply<ApiVersionsResponse> reply) {
  reply.send_as(0, all_versions(ErrorCode::unsupported_version));
}

}  // namespace sluice::kafka
