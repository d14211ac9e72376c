#include "kafka/frame.h"

namespace sluice::kafka {

Result<Request> decode_request(Bytes frame) {
  Reader reader(frame);
  RequestHeader header;
  header.key = reader.read<std::int16_t>();
  header.version = reader.read<std::int16_t>();
  header.correlation_id = reader.read<std::int32_t>();
  if (!reader.ok())
    return fail(Errc::malformed, "request header: {} bytes are too few", frame.size());
  header.api = find_api(ApiKey{header.key});
  if (!header.supported()) return Request{header, {}};

  const auto client_id_size = reader.read<std::int16_t>();
  if (client_id_size < -1)
    return fail(Errc::malformed, "request header: negative length of the client id");
  if (client_id_size > 0)
    header.client_id = as_text(reader.take(static_cast<std::size_t>(client_id_size)));
  if (header.api->flexible(header.version)) skip_tagged_fields(reader);
  if (!reader.ok())
    return fail(Errc::malformed, "request header: it ends in the middle of a field");
  return Request{header, reader.rest()};
}

Result<std::optional<Bytes>> next_frame(Bytes in, std::size_t size_max) {
  if (in.size() < frame_size_bytes) return std::nullopt;
  const auto size = load_be<std::int32_t>(in.data());
  if (size < 0) return fail(Errc::malformed, "a request of {} bytes", size);
  const auto wanted = static_cast<std::size_t>(size);
  if (wanted > size_max) {
    return fail(Errc::too_large,
                "a request of {} bytes is over the limit of {} (kafka.request_max)", size,
                size_max);
  }
  const Bytes rest = in.subspan(frame_size_bytes);
  if (rest.size() < wanted) return std::nullopt;
  return rest.first(wanted);
}

}  // namespace sluice::kafka
