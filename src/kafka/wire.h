#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::kafka {

// The primitives of the Kafka protocol ("Protocol Guide", Apache Kafka) and the means to describe a
// message once for all its versions and for both directions:
//
//   struct Broker {
//     std::int32_t node_id = 0;
//     std::string host;
//     std::optional<std::string> rack;
//     void fields(auto& f) {
//       f(node_id);
//       f(host);
//       f(rack, since(1));
//     }
//   };
//
// A Decoder or an Encoder is the `f`. The type of a member says how it travels: integers, bool and
// enums by their size; strings and vectors with a length in front, compact in flexible versions;
// std::optional is what may be null; a type with fields() is a struct, which ends with tagged
// fields in flexible versions. Requests hold views into the bytes they were decoded from
// (std::string_view, Bytes), responses own theirs (std::string, Buffer).

struct Versions {
  std::int16_t from = 0;
  std::int16_t until = std::numeric_limits<std::int16_t>::max();  // inclusive
  [[nodiscard]] constexpr bool hold(std::int16_t version) const {
    return version >= from && version <= until;
  }
};
constexpr Versions since(std::int16_t from) { return {.from = from}; }
constexpr Versions until(std::int16_t last) { return {.until = last}; }
constexpr Versions between(std::int16_t from, std::int16_t last) {
  return {.from = from, .until = last};
}

struct Uuid {
  std::array<std::byte, 16> bytes{};
  friend bool operator==(const Uuid&, const Uuid&) = default;
};

// Bytes that somebody else keeps, sent without being copied.
struct Slice {
  Bytes bytes;
  std::shared_ptr<const void> owner;
};

// The record batches of one partition: one after another on the wire, behind their common size.
struct Records {
  std::vector<Slice> slices;
};

// A message ready to be sent: `bytes`, with `splices` put in at their places.
struct Frame {
  struct Splice {
    std::size_t at = 0;  // in `bytes`, ascending
    Slice slice;
  };
  Buffer bytes;
  std::vector<Splice> splices;
  std::size_t spliced_size = 0;

  [[nodiscard]] std::size_t size() const { return bytes.size() + spliced_size; }
};

// Passes over the section of tagged fields at the end of a struct: none of them is of use to this
// server.
void skip_tagged_fields(Reader& reader);

template <class T>
struct OptionalTraits : std::false_type {};
template <class T>
struct OptionalTraits<std::optional<T>> : std::true_type {};
template <class T>
concept Nullable = OptionalTraits<T>::value;

template <class T>
struct ArrayTraits : std::false_type {};
template <class T>
struct ArrayTraits<std::vector<T>> : std::true_type {};
template <class T>
concept Array = ArrayTraits<T>::value;

template <class T>
concept Text = std::same_as<T, std::string_view> || std::same_as<T, std::string>;

// Reads one message. After the first fault every further field is left as it is, and finish() says
// what was wrong. Memory: array lengths are checked against the bytes that are left and against
// `elements_max` before anything is allocated.
class Decoder {
 public:
  static constexpr std::size_t elements_max = 1 << 17;  // of all arrays of a message together

  Decoder(Bytes bytes, std::int16_t version, bool flexible)
      : reader_(bytes), version_(version), flexible_(flexible) {}

  template <class T>
  void operator()(T& field, Versions versions = {}) {
    if (versions.hold(version_)) read(field);
  }

  // The message as a whole: fields, and tagged fields when flexible.
  template <class Message>
  Result<Message> message() {
    Message message;
    read_struct(message);
    SLUICE_TRY(finish());
    return message;
  }

  [[nodiscard]] Result<void> finish() const;

 private:
  template <std::integral T>
  void read(T& value) {
    value = reader_.read<T>();
  }
  void read(bool& value) { value = reader_.read<std::int8_t>() != 0; }
  template <class T>
    requires std::is_enum_v<T>
  void read(T& value) {
    value = static_cast<T>(reader_.read<std::underlying_type_t<T>>());
  }
  void read(Uuid& value);
  template <Text T>
  void read(T& value) {
    if (const auto bytes = take(read_text_size())) value = T(as_text(*bytes));
  }
  template <Text T>
  void read(std::optional<T>& value) {
    if (const auto bytes = take_nullable(read_text_size())) value = T(as_text(*bytes));
  }
  void read(std::optional<Bytes>& value) { value = take_nullable(read_size()); }
  void read(Bytes& value);
  void read(Buffer& value);
  void read(Records& value);
  template <class T>
  void read(std::vector<T>& items) {
    const std::int64_t count = read_size();
    if (count < 0) return set_failed("null in place of an array");
    read_items(items, count);
  }
  template <class T>
  void read(std::optional<std::vector<T>>& items) {
    const std::int64_t count = read_size();
    if (count >= 0) read_items(items.emplace(), count);
  }
  template <class T>
    requires requires(T& t, Decoder& f) { t.fields(f); }
  void read(T& message) {
    read_struct(message);
  }

  template <class T>
  void read_items(std::vector<T>& items, std::int64_t count) {
    if (!take_elements(count)) return;
    items.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count && reader_.ok(); ++i) read(items.emplace_back());
  }
  template <class T>
  void read_struct(T& message) {
    message.fields(*this);
    if (flexible_) skip_tagged_fields(reader_);
  }

  std::int64_t read_text_size();  // -1: null
  std::int64_t read_size();       // of bytes and arrays; -1: null
  std::int64_t read_compact_size();
  std::optional<Bytes> take(std::int64_t size);
  std::optional<Bytes> take_nullable(std::int64_t size);
  bool take_elements(std::int64_t count);
  void set_failed(const char* fault);

  Reader reader_;
  std::int16_t version_;
  bool flexible_;
  std::size_t elements_left_ = elements_max;
  const char* fault_ = nullptr;
};

// Appends one message to a frame.
class Encoder {
 public:
  // Larger slices are sent from where they lie, smaller ones are copied: a gather entry costs more
  // than they do.
  static constexpr std::size_t copied_max = 1536;

  Encoder(Frame& out, std::int16_t version, bool flexible)
      : frame_(out), writer_(out.bytes), version_(version), flexible_(flexible) {}

  template <class T>
  void operator()(T& field, Versions versions = {}) {
    if (versions.hold(version_)) write(field);
  }

  template <class Message>
  void message(Message& message) {
    message.fields(*this);
    if (flexible_) writer_.write_uvarint(0);  // no tagged fields
  }

 private:
  template <std::integral T>
  void write(T value) {
    writer_.write<T>(value);
  }
  void write(bool value) { writer_.write<std::int8_t>(value ? 1 : 0); }
  template <class T>
    requires std::is_enum_v<T>
  void write(T value) {
    writer_.write<std::underlying_type_t<T>>(static_cast<std::underlying_type_t<T>>(value));
  }
  void write(const Uuid& value) { writer_.write_bytes(value.bytes); }
  void write(std::string_view text);
  void write(Records& records);
  void write(Bytes bytes);
  template <Nullable T>
  void write(T& value) {
    using Inner = typename T::value_type;
    if (value) return write(*value);
    if constexpr (Text<Inner>) {
      write_text_size(-1);
    } else {
      write_size(-1);
    }
  }
  template <Array T>
  void write(T& items) {
    write_size(static_cast<std::int64_t>(items.size()));
    for (auto& item : items) write(item);
  }
  template <class T>
    requires requires(T& t, Encoder& f) { t.fields(f); }
  void write(T& nested) {
    message(nested);
  }

  void write_text_size(std::int64_t size);
  void write_size(std::int64_t size);

  Frame& frame_;
  Writer writer_;
  std::int16_t version_;
  bool flexible_;
};

}  // namespace sluice::kafka
