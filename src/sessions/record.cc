#include "sessions/record.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <unordered_map>
#include <utility>

namespace sluice::sessions {
namespace {

constexpr std::uint8_t format = 1;  // of all kinds of values but progress
constexpr std::uint8_t progress_format = 4;
constexpr std::uint8_t progress_format_with_lost = 2;
constexpr std::uint8_t progress_format_with_replays = 3;
constexpr std::uint8_t progress_format_with_retained = 4;

// Flags of a meta row.
constexpr std::uint8_t connected_flag = 0x01;
constexpr std::uint8_t crashed_flag = 0x02;
constexpr std::uint8_t will_flag = 0x04;
constexpr std::uint8_t will_retain_flag = 0x08;
constexpr unsigned will_qos_shift = 4;

// Options of a filter: the bits of MQTT 5, section 3.8.3.1.
constexpr std::uint8_t no_local_bit = 0x04;
constexpr std::uint8_t retain_as_published_bit = 0x08;
constexpr unsigned retain_handling_shift = 4;
constexpr std::uint8_t retain_handling_mask = 0x03;
constexpr std::uint8_t shared_bit = 0x40;  // not of MQTT: the filter is a shared one

constexpr std::uint8_t qos_mask = 0x03;

// What goes with the number of the partition of a message in flight.
constexpr unsigned in_flight_bits = 3;
constexpr std::uint64_t state_mask = 0x03;
constexpr std::uint64_t from_group = 0x04;

// --- positions: a partition is named in full the first time, by its number afterwards, and its
// offsets are differences

class PositionWriter {
 public:
  explicit PositionWriter(Writer& out) : out_(out) {}

  // `extra` are `extra_bits` bits that go with the number of the partition.
  void write(const Position& position, std::uint64_t extra = 0, unsigned extra_bits = 0) {
    const auto [known, is_new] =
        known_.try_emplace(position.partition, Known{known_.size(), Offset{}});
    out_.write_uvarint(known->second.number << extra_bits | extra);
    if (is_new) {
      const Partition partition = position.partition;
      out_.write_varint(static_cast<std::int64_t>(partition.stream.value - stream_));
      out_.write_uvarint(partition.index);
      stream_ = partition.stream.value;
    }
    out_.write_varint(position.offset - std::exchange(known->second.last, position.offset));
  }

 private:
  struct Known {
    std::uint64_t number = 0;
    Offset last;
  };
  Writer& out_;
  std::unordered_map<Partition, Known> known_;
  std::uint64_t stream_ = 0;
};

class PositionReader {
 public:
  explicit PositionReader(Reader& in) : in_(in) {}

  struct Read {
    Position position;
    std::uint64_t extra = 0;
  };
  Read read(unsigned extra_bits = 0) {
    const std::uint64_t head = in_.read_uvarint();
    const std::uint64_t number = head >> extra_bits;
    if (number > known_.size()) in_.set_failed();
    if (in_.ok() && number == known_.size()) known_.push_back({read_partition(), Offset{}});
    const auto difference = static_cast<std::uint64_t>(in_.read_varint());
    if (!in_.ok()) return {};
    Position& last = known_[number];
    last.offset.value =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(last.offset.value) + difference);
    if (last.offset < Offset{0}) in_.set_failed();
    return {last, head & ((std::uint64_t{1} << extra_bits) - 1)};
  }

 private:
  Partition read_partition() {
    stream_ += static_cast<std::uint64_t>(in_.read_varint());
    const std::uint64_t index = in_.read_uvarint(5);
    if (index > std::numeric_limits<std::uint32_t>::max()) in_.set_failed();
    return {.stream = {stream_}, .index = static_cast<std::uint32_t>(index)};
  }

  Reader& in_;
  std::vector<Position> known_;
  std::uint64_t stream_ = 0;
};

// The number of items that follow, each of at least a byte.
std::size_t read_count(Reader& in) {
  const std::uint64_t count = in.read_uvarint();
  if (count > in.left()) in.set_failed();
  return in.ok() ? static_cast<std::size_t>(count) : 0;
}

void write_positions(Writer& out, PositionWriter& positions, const std::vector<Position>& all) {
  out.write_uvarint(all.size());
  for (const Position& position : all) positions.write(position);
}

std::vector<Position> read_positions(Reader& in, PositionReader& positions) {
  std::vector<Position> all(read_count(in));
  for (Position& position : all) {
    position = positions.read().position;
    if (!in.ok()) return {};
  }
  return all;
}

// --- packet ids, each as the difference to the one before

void write_packet_id(Writer& out, std::uint16_t& last, std::uint16_t packet_id) {
  out.write_varint(packet_id - std::exchange(last, packet_id));
}

std::uint16_t read_packet_id(Reader& in, std::uint16_t& last) {
  const std::int64_t difference = in.read_varint();
  constexpr std::int64_t most = std::numeric_limits<std::uint16_t>::max();
  if (difference < 1 - last || difference > most - last) {
    in.set_failed();
    return 0;
  }
  return last = static_cast<std::uint16_t>(last + difference);
}

// --- texts and bytes behind their size

void write_sized(Writer& out, Bytes bytes) {
  out.write_uvarint(bytes.size());
  out.write_bytes(bytes);
}
Bytes read_sized(Reader& in) { return in.take(in.read_uvarint()); }
Buffer copy(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

std::uint32_t read_u32(Reader& in) {
  const std::uint64_t value = in.read_uvarint(5);
  if (value > std::numeric_limits<std::uint32_t>::max()) in.set_failed();
  return static_cast<std::uint32_t>(value);
}

// `newest`: the format in which such values are written now.
Result<Reader> begin(std::string_view what, Bytes value, std::uint8_t newest = format) {
  Reader in(value);
  const auto found = in.read<std::uint8_t>();
  if (in.ok() && found >= 1 && found <= newest) return in;
  return fail(in.ok() ? Errc::unsupported : Errc::malformed,
              "{} of {} bytes has format {}; this hub knows {}", what, value.size(), found, newest);
}

Result<void> end(std::string_view what, const Reader& in, Bytes value, bool valid = true) {
  if (in.ok() && in.left() == 0 && valid) return {};
  return fail(Errc::malformed, "{} of {} bytes can't be read", what, value.size());
}

bool is_stored(Uid uid) { return uid != 0 && uid % 2 == 0; }

void write_will(Writer& out, const Will& will) {
  out.write_uvarint(will.delay_s);
  write_sized(out, as_bytes(will.topic));
  write_sized(out, will.properties);
  write_sized(out, will.payload);
}

Will read_will(Reader& in, std::uint8_t flags) {
  Will will;
  will.qos = flags >> will_qos_shift & qos_mask;
  will.retain = (flags & will_retain_flag) != 0;
  will.delay_s = read_u32(in);
  will.topic = as_text(read_sized(in));
  will.properties = copy(read_sized(in));
  will.payload = copy(read_sized(in));
  return will;
}

std::uint8_t flags_of(const Meta& meta) {
  unsigned flags = 0;
  if (meta.connected) flags |= connected_flag;
  if (meta.crashed) flags |= crashed_flag;
  if (meta.will) {
    flags |= will_flag | unsigned{meta.will->qos} << will_qos_shift;
    if (meta.will->retain) flags |= will_retain_flag;
  }
  return static_cast<std::uint8_t>(flags);
}

bool is_meta_flags(std::uint8_t flags) {
  if ((flags & will_flag) == 0) return flags <= (connected_flag | crashed_flag);
  return flags >> will_qos_shift <= 2;
}

std::uint8_t options_of(const Filter& filter) {
  return static_cast<std::uint8_t>(filter.qos | (filter.no_local ? no_local_bit : 0) |
                                   (filter.retain_as_published ? retain_as_published_bit : 0) |
                                   (filter.share != 0 ? shared_bit : 0) |
                                   filter.retain_handling << retain_handling_shift);
}

void write_in_flight(Writer& out, PositionWriter& positions, const std::vector<InFlight>& all) {
  out.write_uvarint(all.size());
  std::uint16_t last = 0;
  for (const InFlight& one : all) {
    const auto state = static_cast<std::uint64_t>(one.state);
    positions.write(one.position, state | (one.group != 0 ? from_group : 0), in_flight_bits);
    write_packet_id(out, last, one.packet_id);
    if (one.group != 0) out.write<std::uint32_t>(one.group);
  }
}

std::vector<InFlight> read_in_flight(Reader& in, PositionReader& positions) {
  std::vector<InFlight> all;
  std::uint16_t last = 0;
  for (std::size_t left = read_count(in); left > 0 && in.ok(); --left) {
    const auto [position, bits] = positions.read(in_flight_bits);
    const std::uint16_t packet_id = read_packet_id(in, last);
    const bool is_shared = (bits & from_group) != 0;
    const std::uint32_t group = is_shared ? in.read<std::uint32_t>() : 0;
    const std::uint64_t state = bits & state_mask;
    if (state > static_cast<std::uint64_t>(SentState::released) || is_shared != (group != 0)) {
      in.set_failed();
      break;
    }
    all.push_back({packet_id, static_cast<SentState>(state), position, group});
  }
  return all;
}

void write_replays(Writer& out, PositionWriter& positions, const std::vector<ReplayPlace>& all) {
  out.write_uvarint(all.size());
  for (const ReplayPlace& replay : all) {
    write_sized(out, as_bytes(replay.text));
    write_positions(out, positions, replay.next);
  }
}

std::vector<ReplayPlace> read_replays(Reader& in, PositionReader& positions) {
  std::vector<ReplayPlace> all;
  for (std::size_t left = read_count(in); left > 0 && in.ok(); --left) {
    ReplayPlace& replay = all.emplace_back();
    replay.text = as_text(read_sized(in));
    replay.next = read_positions(in, positions);
  }
  return all;
}

bool is_retained(const InFlight& message) { return !message.retained_topic.empty(); }

// Topics of messages in flight by their place among them, then what filters have yet to get.
void write_retained(Writer& out, PositionWriter& positions, const Progress& progress) {
  out.write_uvarint(
      static_cast<std::uint64_t>(std::ranges::count_if(progress.in_flight, is_retained)));
  for (std::size_t i = 0; i < progress.in_flight.size(); ++i) {
    if (!is_retained(progress.in_flight[i])) continue;
    out.write_uvarint(i);
    write_sized(out, as_bytes(progress.in_flight[i].retained_topic));
  }
  out.write_uvarint(progress.retained.size());
  for (const RetainedRest& rest : progress.retained) {
    write_sized(out, as_bytes(rest.filter));
    write_positions(out, positions, rest.before);
    out.write_uvarint(rest.done);
    write_sized(out, as_bytes(rest.from));
  }
}

void read_retained(Reader& in, PositionReader& positions, Progress& progress) {
  for (std::size_t left = read_count(in); left > 0 && in.ok(); --left) {
    const std::uint64_t at = in.read_uvarint();
    const auto topic = as_text(read_sized(in));
    if (at >= progress.in_flight.size() || topic.empty()) return in.set_failed();
    progress.in_flight[at].retained_topic = topic;
  }
  for (std::size_t left = read_count(in); left > 0 && in.ok(); --left) {
    RetainedRest& rest = progress.retained.emplace_back();
    rest.filter = as_text(read_sized(in));
    rest.before = read_positions(in, positions);
    rest.done = read_u32(in);
    rest.from = as_text(read_sized(in));
    if (rest.done > rest.before.size()) in.set_failed();
  }
}

std::uint8_t format_of(const Progress& progress) {
  if (!progress.retained.empty() || std::ranges::any_of(progress.in_flight, is_retained))
    return progress_format_with_retained;
  return progress.replays.empty() ? progress_format_with_lost : progress_format_with_replays;
}

}  // namespace

std::vector<Position> place_of(const Filter& replay, const Progress& progress) {
  std::vector<Position> began = replay.since;
  std::ranges::sort(began);
  const auto found = std::ranges::find(progress.replays, replay.text, &ReplayPlace::text);
  if (found == progress.replays.end()) return began;
  std::vector<Position> next = found->next;
  std::ranges::sort(next);
  std::vector<Position> place;  // of partitions that both name what it has come to
  std::ranges::set_union(next, began, std::back_inserter(place), {}, &Position::partition,
                         &Position::partition);
  return place;
}

Buffer encode_meta(const Meta& meta) {
  Buffer bytes;
  Writer out(bytes);
  out.write<std::uint8_t>(format);
  out.write<std::uint8_t>(flags_of(meta));
  out.write<std::uint64_t>(meta.uid);
  out.write<std::uint64_t>(meta.process);
  out.write_varint(meta.left.gone_at);
  out.write_uvarint(meta.left.expiry_s);
  if (meta.will) write_will(out, *meta.will);
  return bytes;
}

Result<Meta> decode_meta(Bytes value) {
  constexpr std::string_view what = "the row of a session";
  SLUICE_TRY_ASSIGN(Reader in, begin(what, value));
  const auto flags = in.read<std::uint8_t>();
  Meta meta;
  meta.connected = (flags & connected_flag) != 0;
  meta.crashed = (flags & crashed_flag) != 0;
  meta.uid = in.read<std::uint64_t>();
  meta.process = in.read<std::uint64_t>();
  meta.left.gone_at = in.read_varint();
  meta.left.expiry_s = read_u32(in);
  if ((flags & will_flag) != 0) meta.will = read_will(in, flags);
  constexpr WallMs gone_at_max = WallMs{1} << 60;  // so that sums of it are none too large
  SLUICE_TRY(end(what, in, value,
                 is_stored(meta.uid) && is_meta_flags(flags) && meta.left.gone_at >= 0 &&
                     meta.left.gone_at <= gone_at_max));
  return meta;
}

Buffer encode_filter(Uid uid, const Filter& filter) {
  Buffer bytes;
  Writer out(bytes);
  out.write<std::uint8_t>(format);
  out.write<std::uint64_t>(uid);
  out.write<std::uint8_t>(options_of(filter));
  out.write_uvarint(filter.id);
  PositionWriter positions(out);
  write_positions(out, positions, filter.since);
  if (filter.share != 0) out.write<std::uint64_t>(filter.share);
  return bytes;
}

Result<OfLife<Filter>> decode_filter(std::string_view text, Bytes value) {
  constexpr std::string_view what = "the row of a filter";
  SLUICE_TRY_ASSIGN(Reader in, begin(what, value));
  OfLife<Filter> row;
  row.uid = in.read<std::uint64_t>();
  const auto options = in.read<std::uint8_t>();
  Filter& filter = row.value;
  filter.text = text;
  filter.qos = options & qos_mask;
  filter.no_local = (options & no_local_bit) != 0;
  filter.retain_as_published = (options & retain_as_published_bit) != 0;
  filter.retain_handling = options >> retain_handling_shift & retain_handling_mask;
  filter.id = read_u32(in);
  PositionReader positions(in);
  filter.since = read_positions(in, positions);
  const bool is_shared = (options & shared_bit) != 0;
  if (is_shared) filter.share = in.read<std::uint64_t>();
  SLUICE_TRY(end(what, in, value,
                 is_stored(row.uid) && filter.qos <= 2 && filter.retain_handling <= 2 &&
                     options <= (shared_bit | 0x3f) && is_shared == (filter.share != 0)));
  return row;
}

Buffer encode_progress(Uid uid, const Progress& progress) {
  Buffer bytes;
  bytes.reserve(32 + 4 * (progress.in_flight.size() + progress.open.size()));
  Writer out(bytes);
  // The older format where it says all: rows that are smaller, and that an older hub can read.
  const std::uint8_t written = format_of(progress);
  out.write<std::uint8_t>(written);
  out.write<std::uint64_t>(uid);
  out.write_uvarint(progress.next_packet_id);
  out.write_uvarint(progress.received);
  PositionWriter positions(out);
  write_positions(out, positions, progress.next);
  write_in_flight(out, positions, progress.in_flight);
  out.write_uvarint(progress.open.size());
  std::uint16_t last = 0;
  for (const std::uint16_t packet_id : progress.open) write_packet_id(out, last, packet_id);
  out.write_uvarint(progress.lost.retention);
  out.write_uvarint(progress.lost.lag_limit);
  if (written >= progress_format_with_replays) write_replays(out, positions, progress.replays);
  if (written >= progress_format_with_retained) write_retained(out, positions, progress);
  return bytes;
}

Result<OfLife<Progress>> decode_progress(Bytes value) {
  constexpr std::string_view what = "the progress of a session";
  SLUICE_TRY_ASSIGN(Reader in, begin(what, value, progress_format));
  OfLife<Progress> row;
  row.uid = in.read<std::uint64_t>();
  Progress& progress = row.value;
  const std::uint64_t next_packet_id = in.read_uvarint(3);
  progress.next_packet_id = static_cast<std::uint16_t>(next_packet_id);
  progress.received = in.read_uvarint();
  PositionReader positions(in);
  progress.next = read_positions(in, positions);
  progress.in_flight = read_in_flight(in, positions);
  progress.open.resize(read_count(in));
  std::uint16_t last = 0;
  for (std::uint16_t& packet_id : progress.open) packet_id = read_packet_id(in, last);
  const auto found = std::to_integer<std::uint8_t>(value.front());
  if (found >= progress_format_with_lost)
    progress.lost = {.retention = in.read_uvarint(), .lag_limit = in.read_uvarint()};
  if (found >= progress_format_with_replays) progress.replays = read_replays(in, positions);
  if (found >= progress_format_with_retained) read_retained(in, positions, progress);
  SLUICE_TRY(
      end(what, in, value,
          is_stored(row.uid) && next_packet_id > 0 && next_packet_id == progress.next_packet_id));
  return row;
}

Buffer encode_evidence_position(Offset next) {
  Buffer bytes;
  Writer out(bytes);
  out.write<std::uint8_t>(format);
  out.write<std::int64_t>(next.value);
  return bytes;
}

Result<Offset> decode_evidence_position(Bytes value) {
  constexpr std::string_view what = "the position of evidence";
  SLUICE_TRY_ASSIGN(Reader in, begin(what, value));
  const Offset next{in.read<std::int64_t>()};
  SLUICE_TRY(end(what, in, value, next >= Offset{0}));
  return next;
}

Buffer encode_group(const GroupState& state) {
  Buffer bytes;
  bytes.reserve(32 + 2 * (state.open.size() + state.taken.size()));
  Writer out(bytes);
  out.write<std::uint8_t>(format);
  out.write<std::uint64_t>(state.process);
  PositionWriter positions(out);
  for (const auto* all : {&state.next, &state.open, &state.taken})
    write_positions(out, positions, *all);
  return bytes;
}

Result<GroupState> decode_group(Bytes value) {
  constexpr std::string_view what = "the row of a shared subscription";
  SLUICE_TRY_ASSIGN(Reader in, begin(what, value));
  GroupState state;
  state.process = in.read<std::uint64_t>();
  PositionReader positions(in);
  for (auto* all : {&state.next, &state.open, &state.taken}) *all = read_positions(in, positions);
  SLUICE_TRY(end(what, in, value));
  return state;
}

Buffer encode_holder(std::string_view client_id) {
  Buffer bytes;
  Writer out(bytes);
  out.write<std::uint8_t>(format);
  out.write_bytes(as_bytes(client_id));
  return bytes;
}

Result<std::string> decode_holder(Bytes value) {
  SLUICE_TRY_ASSIGN(Reader in, begin("the row of a holder", value));
  return std::string(as_text(in.take(in.left())));
}

}  // namespace sluice::sessions
