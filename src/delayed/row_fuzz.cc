// What decodes as a row is the same message when that is encoded again.
#include <cstdint>
#include <cstdlib>

#include "delayed/row.h"

using namespace sluice;

namespace {

bool same(const hub::Properties* a, const hub::Properties* b) {
  if (!a || !b) return a == b;
  return a->content_type == b->content_type && a->response_topic == b->response_topic &&
         a->payload_is_utf8 == b->payload_is_utf8 && a->user == b->user &&
         a->correlation_data.has_value() == b->correlation_data.has_value() &&
         as_text(a->correlation_data.value_or(Bytes{})) ==
             as_text(b->correlation_data.value_or(Bytes{}));
}

bool same(const hub::Message& a, const hub::Message& b) {
  return a.topic == b.topic && as_text(a.payload) == as_text(b.payload) && a.qos == b.qos &&
         a.retain == b.retain && a.publisher == b.publisher && a.expiry_s == b.expiry_s &&
         same(a.properties, b.properties);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto row = delayed::decode_row({reinterpret_cast<const std::byte*>(data), size});
  if (!row) return 0;
  hub::Properties properties, again_properties;
  const hub::Message message = delayed::message_of(*row, properties);
  const Buffer encoded = delayed::encode_row(message);
  const auto again = delayed::decode_row(encoded);
  if (!again) std::abort();
  if (!same(delayed::message_of(*again, again_properties), message)) std::abort();
  return 0;
}
