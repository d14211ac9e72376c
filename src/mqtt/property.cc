#include "mqtt/property.h"

#include <array>
#include <limits>

#include "base/assert.h"
#include "mqtt/text.h"
#include "mqtt/variable_integer.h"

namespace sluice::mqtt {

namespace {

enum class Kind : std::uint8_t { none, byte, two_bytes, four_bytes, variable, text, binary, pair };

constexpr std::uint32_t any = std::numeric_limits<std::uint32_t>::max();

struct Rule {
  Kind kind = Kind::none;
  std::uint16_t homes = 0;       // bits by PropertyHome
  std::uint16_t repeatable = 0;  // bits by PropertyHome
  std::uint32_t least = 0;
  std::uint32_t most = any;
};

constexpr std::uint16_t bit(PropertyHome home) {
  return static_cast<std::uint16_t>(1u << static_cast<unsigned>(home));
}

constexpr auto rules = [] {
  using enum PropertyHome;
  using Id = PropertyId;
  constexpr std::uint16_t message = bit(publish) | bit(will);
  constexpr std::uint16_t all = 0x1ff;
  constexpr std::uint16_t authentication = bit(connect) | bit(connack) | bit(auth);
  std::array<Rule, 0x2b> table{};
  const auto set = [&](Id id, Rule rule) { table[static_cast<std::uint8_t>(id)] = rule; };
  set(Id::payload_format, {Kind::byte, message, 0, 0, 1});
  set(Id::message_expiry, {Kind::four_bytes, message});
  set(Id::content_type, {Kind::text, message});
  set(Id::response_topic, {Kind::text, message});
  set(Id::correlation_data, {Kind::binary, message});
  set(Id::subscription_id, {Kind::variable, bit(publish) | bit(subscribe), bit(publish), 1});
  set(Id::session_expiry, {Kind::four_bytes, bit(connect) | bit(connack) | bit(disconnect)});
  set(Id::assigned_client_id, {Kind::text, bit(connack)});
  set(Id::server_keep_alive, {Kind::two_bytes, bit(connack)});
  set(Id::authentication_method, {Kind::text, authentication});
  set(Id::authentication_data, {Kind::binary, authentication});
  set(Id::request_problem_information, {Kind::byte, bit(connect), 0, 0, 1});
  set(Id::will_delay, {Kind::four_bytes, bit(will)});
  set(Id::request_response_information, {Kind::byte, bit(connect), 0, 0, 1});
  set(Id::response_information, {Kind::text, bit(connack)});
  set(Id::server_reference, {Kind::text, bit(connack) | bit(disconnect)});
  set(Id::reason_string, {Kind::text, bit(connack) | bit(ack) | bit(disconnect) | bit(auth)});
  set(Id::receive_maximum, {Kind::two_bytes, bit(connect) | bit(connack), 0, 1});
  set(Id::topic_alias_maximum, {Kind::two_bytes, bit(connect) | bit(connack)});
  set(Id::topic_alias, {Kind::two_bytes, bit(publish)});
  set(Id::maximum_qos, {Kind::byte, bit(connack), 0, 0, 1});
  set(Id::retain_available, {Kind::byte, bit(connack), 0, 0, 1});
  set(Id::user_property, {Kind::pair, all, all});
  set(Id::maximum_packet_size, {Kind::four_bytes, bit(connect) | bit(connack), 0, 1});
  set(Id::wildcard_subscription_available, {Kind::byte, bit(connack), 0, 0, 1});
  set(Id::subscription_id_available, {Kind::byte, bit(connack), 0, 0, 1});
  set(Id::shared_subscription_available, {Kind::byte, bit(connack), 0, 0, 1});
  return table;
}();

const Rule& rule_of(PropertyId id) {
  const auto index = static_cast<std::uint8_t>(id);
  return rules[index < rules.size() ? index : 0];
}

bool is_number(Kind kind) { return kind >= Kind::byte && kind <= Kind::variable; }

Decoded<void> validate_value(const Property& property, const Rule& rule) {
  if (is_number(rule.kind) && (property.number < rule.least || property.number > rule.most))
    return std::unexpected(
        Refusal{Reason::protocol_error, "a property's value is out of its range"});
  if (!is_mqtt_text(property.text) || !is_mqtt_text(property.value))
    return std::unexpected(
        Refusal{Reason::malformed, "a property's text is not UTF-8, or holds NUL"});
  if (property.id == PropertyId::response_topic && has_wildcard(property.text))
    return std::unexpected(Refusal{Reason::protocol_error, "the response topic holds a wildcard"});
  return {};
}

}  // namespace

Property read_property(Reader& reader) {
  Property property{.id = static_cast<PropertyId>(reader.read<std::uint8_t>()),
                    .text = {},
                    .value = {},
                    .data = {}};
  const auto sized = [&] { return reader.take(reader.read<std::uint16_t>()); };
  switch (rule_of(property.id).kind) {
    case Kind::none:
      reader.set_failed();
      break;
    case Kind::byte:
      property.number = reader.read<std::uint8_t>();
      break;
    case Kind::two_bytes:
      property.number = reader.read<std::uint16_t>();
      break;
    case Kind::four_bytes:
      property.number = reader.read<std::uint32_t>();
      break;
    case Kind::variable:
      property.number = read_variable_integer(reader);
      break;
    case Kind::text:
      property.text = as_text(sized());
      break;
    case Kind::binary:
      property.data = sized();
      break;
    case Kind::pair:
      property.text = as_text(sized());
      property.value = as_text(sized());
      break;
  }
  return property;
}

Decoded<void> validate_properties(PropertyBlock block, PropertyHome home) {
  Reader reader(block.bytes);
  std::uint64_t seen = 0;
  while (reader.left() > 0) {
    const Property property = read_property(reader);
    if (!reader.ok())
      return std::unexpected(
          Refusal{Reason::malformed, "a property is not known, malformed or cut off"});
    const Rule& rule = rule_of(property.id);
    if ((rule.homes & bit(home)) == 0)
      return std::unexpected(
          Refusal{Reason::protocol_error, "a property is not allowed in this packet"});
    const std::uint64_t mark = std::uint64_t{1} << static_cast<std::uint8_t>(property.id);
    if ((seen & mark) != 0 && (rule.repeatable & bit(home)) == 0)
      return std::unexpected(Refusal{Reason::protocol_error, "a property is there twice"});
    seen |= mark;
    if (auto valid = validate_value(property, rule); !valid) return valid;
  }
  return {};
}

void PropertyWriter::number(PropertyId id, std::uint32_t value) {
  Writer writer(out_);
  writer.write<std::uint8_t>(static_cast<std::uint8_t>(id));
  switch (rule_of(id).kind) {
    case Kind::byte:
      return writer.write<std::uint8_t>(static_cast<std::uint8_t>(value));
    case Kind::two_bytes:
      return writer.write<std::uint16_t>(static_cast<std::uint16_t>(value));
    case Kind::four_bytes:
      return writer.write<std::uint32_t>(value);
    default:
      SLUICE_ASSERT(rule_of(id).kind == Kind::variable);
      return writer.write_uvarint(value);
  }
}

void PropertyWriter::text(PropertyId id, std::string_view value) { data(id, as_bytes(value)); }

void PropertyWriter::data(PropertyId id, Bytes value) {
  Writer writer(out_);
  writer.write<std::uint8_t>(static_cast<std::uint8_t>(id));
  writer.write<std::uint16_t>(static_cast<std::uint16_t>(value.size()));
  writer.write_bytes(value);
}

void PropertyWriter::user(std::string_view name, std::string_view value) {
  text(PropertyId::user_property, name);
  Writer writer(out_);
  writer.write<std::uint16_t>(static_cast<std::uint16_t>(value.size()));
  writer.write_text(value);
}

}  // namespace sluice::mqtt
