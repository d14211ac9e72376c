#include "sessions/listing.h"

#include <iterator>
#include <optional>
#include <utility>

namespace sluice::sessions {

namespace {

// Where the rows lie of what is listed, and what is said of each.
template <class T>
struct Kind;

template <>
struct Kind<Summary> {
  static KeyRange after(std::string_view client_id) { return metas_after(client_id); }
  static std::optional<std::string_view> id_in(std::string_view key) {
    return client_in_meta_key(key);
  }
  static std::optional<Summary> read(std::string_view client_id, Bytes value) {
    const auto meta = decode_meta(value);
    if (!meta) return std::nullopt;
    return summary_of(std::string(client_id), *meta);
  }
};

template <>
struct Kind<GroupSummary> {
  static KeyRange after(std::string_view text) { return groups_after(text); }
  static std::optional<std::string_view> id_in(std::string_view key) { return group_in_key(key); }
  static std::optional<GroupSummary> read(std::string_view text, Bytes value) {
    auto state = decode_group(value);
    if (!state) return std::nullopt;
    return GroupSummary{std::string(text), places_of(std::move(*state))};
  }
};

}  // namespace

Summary summary_of(std::string client_id, const Meta& meta) {
  return {.client_id = std::move(client_id),
          .uid = meta.uid,
          .connected = meta.connected,
          .crashed = meta.crashed,
          .left = meta.left,
          .has_will = meta.will.has_value()};
}

template <class T>
void Listing<T>::start() {
  slot_ = place_.shard.value;
  step(Kind<T>::after(query_.after).from);
}

template <class T>
void Listing<T>::step(const std::string& from) {
  place_.table->scan(slot_, {.from = from, .until = Kind<T>::after({}).until},
                     [self = this->shared_from_this()](Result<table::Portion> portion) {
                       self->on_portion(std::move(portion));
                     });
}

template <class T>
void Listing<T>::on_portion(Result<table::Portion> portion) {
  if (!portion) return done_(std::unexpected(std::move(portion.error())));
  for (const table::Row& row : portion->rows)
    if (!take(row)) return next_slot();
  if (!portion->next) return next_slot();
  step(*portion->next);
}

template <class T>
bool Listing<T>::take(const table::Row& row) {
  const auto id = Kind<T>::id_in(row.key);
  if (!id || id->find(query_.contains) == std::string_view::npos) return true;
  const bool is_full = found_.size() > query_.limit;
  if (is_full && *id > found_.rbegin()->first) return false;
  auto one = Kind<T>::read(*id, row.value);
  if (!one) return true;
  found_.emplace(*id, std::move(*one));
  if (is_full) found_.erase(std::prev(found_.end()));
  return true;
}

// By way of the loop, for slots may be many and answer at once.
template <class T>
void Listing<T>::next_slot() {
  slot_ += place_.shards;
  if (slot_ >= slot_count) return answer();
  place_.loop->post(
      [self = this->shared_from_this()] { self->step(Kind<T>::after(self->query_.after).from); });
}

template <class T>
void Listing<T>::answer() {
  Page<T> page{.has_more = found_.size() > query_.limit};
  if (page.has_more) found_.erase(std::prev(found_.end()));
  for (auto& [id, one] : found_) page.items.push_back(std::move(one));
  done_(std::move(page));
}

template class Listing<Summary>;
template class Listing<GroupSummary>;

}  // namespace sluice::sessions
