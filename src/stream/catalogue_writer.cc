#include "stream/catalogue_writer.h"

#include <array>
#include <utility>

#include "stream/catalogue_record.h"
#include "stream/embedded_stream.h"

namespace sluice::stream {
namespace {

constexpr std::size_t changes_max = 1024;

constexpr std::array verbs{"create", "alter", "remove"};  // by CatalogueWriter::Kind

// Whether a stream may get this configuration, which is valid in itself.
Result<void> may_become(const StreamInfo& known, const StreamConfig& config) {
  if (known.id == catalogue_stream.id || config.internal != known.config.internal)
    return fail(Errc::invalid, "stream \"{}\" is internal, or not, for good", known.name);
  if (config.partitions < known.config.partitions) {
    return fail(Errc::invalid, "stream \"{}\" has {} partitions: {} would be fewer", known.name,
                known.config.partitions, config.partitions);
  }
  return {};
}

}  // namespace

void CatalogueWriter::create(std::string name, StreamConfig config, Done<StreamInfo> done) {
  submit({Kind::create, std::move(name), config, std::move(done)});
}

void CatalogueWriter::alter(std::string name, StreamConfig config, Done<StreamInfo> done) {
  submit({Kind::alter, std::move(name), config, std::move(done)});
}

void CatalogueWriter::remove(std::string name, Done<StreamInfo> done) {
  submit({Kind::remove, std::move(name), {}, std::move(done)});
}

void CatalogueWriter::submit(Change change) {
  if (changes_.size() == changes_max) {
    return change.done(fail(Errc::busy, "{} changes of the catalogue are waiting", changes_max));
  }
  changes_.push_back(std::move(change));
  if (changes_.size() == 1) start();
}

void CatalogueWriter::start() {
  auto stream = prepare(changes_.front());
  if (!stream) return finish(std::move(stream));
  write(std::move(*stream), changes_.front().kind);
}

Result<StreamInfo> CatalogueWriter::prepare(const Change& change) {
  const auto* const known = home_.catalogue().find(change.name);
  if (change.kind == Kind::create) {
    if (known != nullptr) return fail(Errc::exists, "stream \"{}\" exists already", change.name);
    return StreamInfo{change.name, new_id(change.config.internal), change.config};
  }
  if (known == nullptr) return fail(Errc::not_found, "there is no stream \"{}\"", change.name);
  if (change.kind == Kind::alter) {
    SLUICE_TRY(may_become(*known, change.config));
    return StreamInfo{change.name, known->id, change.config};
  }
  if (known->config.internal) {
    return fail(Errc::invalid, "stream \"{}\" is internal and stays", change.name);
  }
  return *known;
}

void CatalogueWriter::write(StreamInfo stream, Kind kind) {
  const auto now = home_.loop().wall_ms();
  auto block = kind == Kind::remove ? encode_removed(stream.name, now) : encode_stream(stream, now);
  home_.appends().append_when_room(
      {catalogue_stream.id, 0}, std::move(block),
      [this, stream = std::move(stream), kind](const Result<Appended>& appended) {
        if (!appended) {
          auto what =
              fmt::format("{} stream \"{}\"", verbs[static_cast<std::size_t>(kind)], stream.name);
          return finish(std::unexpected(appended.error().context(what)));
        }
        if (kind == Kind::create) return tell_created(stream);
        if (kind == Kind::alter) return tell_altered(stream);
        tell_removed(stream);
      });
}

void CatalogueWriter::tell_created(const StreamInfo& stream) {
  home_.on_all([stream](EmbeddedStream& shard) { shard.open_partitions(stream); },
               [this, stream] {
                 home_.on_all([stream](EmbeddedStream& shard) { shard.add_stream(stream); },
                              [this, stream] { finish(stream); });
               });
}

void CatalogueWriter::tell_altered(const StreamInfo& stream) {
  home_.on_all([stream](EmbeddedStream& shard) { shard.open_partitions(stream); },
               [this, stream] {
                 home_.on_all([stream](EmbeddedStream& shard) { shard.change_stream(stream); },
                              [this, stream] { finish(stream); });
               });
}

void CatalogueWriter::tell_removed(const StreamInfo& stream) {
  home_.on_all([stream](EmbeddedStream& shard) { shard.remove_stream(stream); },
               [this, stream] {
                 home_.on_all([stream](EmbeddedStream& shard) { shard.drop_partitions(stream); },
                              [this, stream] { finish(stream); });
               });
}

void CatalogueWriter::finish(Result<StreamInfo> result) {
  changes_.front().done(std::move(result));  // may submit: then it waits behind this one
  changes_.pop_front();
  if (!changes_.empty()) start();
}

StreamId CatalogueWriter::new_id(bool internal) {
  StreamId id = catalogue_stream.id;
  do {
    id.value = internal ? id.value + 1 : ids_.next();
  } while (internal != (id.value < internal_stream_ids) || id <= catalogue_stream.id ||
           home_.catalogue().find(id) != nullptr);
  return id;
}

}  // namespace sluice::stream
