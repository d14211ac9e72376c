#include "kafka_stream/stream_notes.h"

#include <future>
#include <utility>

#include "base/units.h"
#include "kafka_stream/admin.h"
#include "kafka_stream/names.h"
#include "log/record_batch.h"

namespace sluice::kafka_stream {
namespace {

constexpr std::string_view life_field = "life=";
constexpr std::string_view wildcard_field = "wildcard=";
constexpr std::size_t read_size = 1 << 20;

const std::string topic_name(notes_topic);

}  // namespace

std::string encode_note(const StreamNote& note) {
  return fmt::format("{}{} {}{}", life_field, note.life, wildcard_field, note.wildcard);
}

std::optional<StreamNote> decode_note(std::string_view text) {
  const auto space = text.find(' ');
  if (space == std::string_view::npos || !text.starts_with(life_field)) return std::nullopt;
  const auto life = parse_integer(text.substr(life_field.size(), space - life_field.size()));
  const std::string_view wildcard = text.substr(space + 1);
  if (!life || *life < 0 || !wildcard.starts_with(wildcard_field)) return std::nullopt;
  return StreamNote{static_cast<std::uint64_t>(*life),
                    wildcard.substr(wildcard_field.size()).starts_with("true")};
}

template <class T, class Start>
Result<T> StreamNotes::wait_for(Start start) {
  const auto answer = std::make_shared<std::promise<Result<T>>>();
  auto future = answer->get_future();
  start(Done<T>([answer](Result<T> result) { answer->set_value(std::move(result)); }));
  while (future.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready)
    if (stopping_) return fail(Errc::closed, "{}: the hub stops", topic_name);
  return future.get();
}

Result<void> StreamNotes::load() {
  const auto made = create_topic(
      producer_.instance()->client.get(),
      {.name = topic_name, .replication = replication_, .config = {{"cleanup.policy", "compact"}}});
  if (!made && made.error().code != Errc::exists) return made;
  Offset next;
  while (true) {
    SLUICE_TRY_ASSIGN(const auto answer, wait_for<stream::ReadAnswer>([&](auto done) {
                        readers_.read({topic_name, 0}, next, read_size, std::move(done));
                      }));
    for (const auto& block : answer.blocks) fold(*block);
    if (answer.next == next) return {};
    next = answer.next;
  }
}

void StreamNotes::fold(const log::Block& block) {
  for (const log::Record& record : block.records()) {
    if (record.key_at == log::Record::none) continue;
    if (const auto note = decode_note(as_text(block.value(record))))
      notes_[std::string(as_text(block.key(record)))] = *note;
  }
}

StreamNote StreamNotes::of(const std::string& stream) const {
  const auto found = notes_.find(stream);
  return found == notes_.end() ? StreamNote{} : found->second;
}

Result<void> StreamNotes::put(const std::string& stream, const StreamNote& note) {
  if (of(stream) == note) return {};
  log::BatchBuilder builder;
  const std::string value = encode_note(note);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  builder.add(std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
              {.key = as_bytes(stream), .value = as_bytes(value), .headers = {}});
  SLUICE_TRY(wait_for<Stored>(
      [&](auto done) { producer_.produce(topic_name, 0, builder.finish(), std::move(done)); }));
  notes_[stream] = note;
  return {};
}

}  // namespace sluice::kafka_stream
