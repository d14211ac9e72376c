#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kafka/api.h"
#include "kafka/wire.h"

namespace sluice::kafka {

// What stands in front of every request. Versions of the header: 1, and 2 (with tagged fields) for
// flexible versions of a request; the client id is an old nullable string in both.
struct RequestHeader {
  const Api* api = nullptr;  // null: not offered; the body is unknown then
  std::int16_t key = 0;
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::string_view client_id{};

  // Whether the body that follows can be decoded.
  [[nodiscard]] bool supported() const { return api != nullptr && api->takes(version); }
};

struct Request {
  RequestHeader header;
  Bytes body;
};

// `frame` is a request without its size field. Of a request that is not supported() only key,
// version and correlation id are read, since nobody can know what follows them.
Result<Request> decode_request(Bytes frame);

constexpr std::size_t frame_size_bytes = 4;

// The next whole request at the front of `in`, without its size field; nothing when more bytes are
// needed. Errors: malformed (a negative size), too_large (more than `size_max` bytes).
Result<std::optional<Bytes>> next_frame(Bytes in, std::size_t size_max);

// A response to the request with this correlation id, size field included.
template <class Response>
Frame encode_response(const Api& api, std::int16_t version, std::int32_t correlation_id,
                      Response& response) {
  Frame frame;
  Writer writer(frame.bytes);
  writer.write<std::int32_t>(0);
  writer.write<std::int32_t>(correlation_id);
  // A client cannot know the server's versions before it has read this response: its header has no
  // tagged fields.
  const bool flexible_header = api.flexible(version) && api.key != ApiKey::api_versions;
  if (flexible_header) writer.write_uvarint(0);
  Encoder(frame, version, api.flexible(version)).message(response);
  writer.patch<std::int32_t>(0, static_cast<std::int32_t>(frame.size() - frame_size_bytes));
  return frame;
}

}  // namespace sluice::kafka
