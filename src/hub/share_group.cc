#include "hub/share_group.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"
#include "topic/topic.h"

namespace sluice::hub {

namespace {

// Blocks on their way to the members of another shard, which they keep in memory: bytes, and for
// each at least this many, so that the letters are few, too. Exceeded by at most one block.
constexpr std::int64_t in_transit_max = 256 << 10;
constexpr std::int64_t letter_cost_min = 4 << 10;

std::int64_t cost_of(const log::Block& block) {
  return std::max(static_cast<std::int64_t>(block.bytes().size()), letter_cost_min);
}

// At what QoS a member gets a record is for its front end to say; here it matters whether the
// record will stand open for a while.
bool is_acknowledged(const log::Record& record, std::uint8_t granted) {
  if ((record.flags & log::Record::has_packed) == 0) return granted > 0;
  return granted > 0 && (record.flags & log::Record::qos_mask) > 0;
}

}  // namespace

ShareGroup::ShareGroup(const Context& context, ShardId home, std::uint32_t shards, Deliver deliver,
                       Counter& redelivered, Counter& lost)
    : context_(context),
      home_(home),
      deliver_(std::move(deliver)),
      redelivered_(redelivered),
      lost_(lost),
      subscriber_(context.distributor.add(*this, 0)),
      portions_(shards),
      in_transit_(shards, 0) {}

void ShareGroup::start(Handle self, const std::string& text) {
  self_ = self;
  text_ = text;
  if (context_.store) return load();
  begin(std::nullopt);
}

void ShareGroup::on_subscribed() {
  subscribed_ = true;
  for (Task& done : std::exchange(joining_, {})) done();
}

// --- members

void ShareGroup::join(const ShareJoin& join, OnJoined done) {
  Handle handle = find_member(join.shard, join.membership);
  if (!handle.valid()) {
    handle = members_.add({.shard = join.shard, .membership = join.membership, .open = {}});
    ++taking_;
  }
  Member& member = *members_.find(handle);
  if (join.share != 0) member.share = join.share;
  member.qos = join.qos;
  member.open.set_limit(std::max(join.window, 1u));
  member.waits = context_.store && (!join.holder.empty() || topic::is_queue(text_));
  renew_ready(handle);
  const MemberAtHome name = name_of(handle);
  if (subscribed_) return answer_join(name, join.holder, std::move(done));
  joining_.push_back([this, name, holder = join.holder, done = std::move(done)]() mutable {
    answer_join(name, holder, std::move(done));
  });
}

Handle ShareGroup::find_member(ShardId shard, Handle membership) {
  Handle found;
  members_.for_each([&](std::uint32_t index, const Member& member) {
    if (member.shard == shard && member.membership == membership) found = members_.handle(index);
  });
  return found;
}

void ShareGroup::report(const ShareReport& report) {
  const Handle handle = report.member.member;
  Member* member = members_.find(handle);
  if (!member) return;
  switch (report.kind) {
    case ShareReport::Kind::settled:
      return settle(handle, report.first, report.count);
    case ShareReport::Kind::kept:
      return keep(handle, report.first, report.count);
    case ShareReport::Kind::room:
      member->blocked = false;
      return renew_ready(handle);
    case ShareReport::Kind::stopped:
      return stop(handle);
    case ShareReport::Kind::left:
      return leave(handle);
  }
}

void ShareGroup::settle(Handle handle, std::uint64_t first, std::uint32_t count) {
  for (std::uint64_t ticket = first; ticket < first + count; ++ticket) close(handle, ticket);
  const Member& member = *members_.find(handle);
  if (member.stopped && member.open.empty()) return erase(handle);
  renew_ready(handle);
}

std::optional<OpenRecords::Record> ShareGroup::close(Handle handle, std::uint64_t ticket) {
  const auto record = members_.at(handle.index).open.close(ticket);
  if (!record) return record;
  if (record->holds_key) holders_.release(record->key_hash, handle.index);
  moved_ = true;
  if (open_-- == open_max) wake();
  return record;
}

void ShareGroup::keep(Handle handle, std::uint64_t first, std::uint32_t count) {
  OpenRecords& open = members_.find(handle)->open;
  for (std::uint64_t ticket = first; ticket < first + count; ++ticket) moved_ |= open.keep(ticket);
}

void ShareGroup::stop(Handle handle) {
  Member& member = *members_.find(handle);
  if (!std::exchange(member.stopped, true)) {
    --taking_;
    renew_ready(handle);
  }
  if (member.open.empty()) erase(handle);
}

void ShareGroup::leave(Handle handle) {
  Member& member = *members_.find(handle);
  std::vector<Position> positions;
  bool kept_some = false;
  member.open.close_all([&](const OpenRecords::Record& record) {
    if (record.holds_key) holders_.release(record.key_hash, handle.index);
    if (record.kept)
      kept_some = true;
    else
      positions.push_back(record.position);
    --open_;
  });
  moved_ |= kept_some;
  stop(handle);
  put_back(std::move(positions));
  wake();
  // What its session has is not to be given again, wherever that goes from here.
  if (kept_some) save([](const Result<void>&) {});
}

void ShareGroup::erase(Handle handle) {
  const Member& member = *members_.find(handle);
  SLUICE_ASSERT(!member.ready);
  const sessions::ShareId released = member.released ? member.share : 0;
  members_.erase(handle);
  if (released != 0) remove_holder(released);
}

// Puts a member into ready_, or takes it out.
void ShareGroup::renew_ready(Handle handle) {
  Member& member = *members_.find(handle);
  if (member.open.full())
    member.full = true;
  else if (member.open.has_room_again())
    member.full = false;
  const bool ready = !member.waits && !member.stopped && !member.blocked && !member.full;
  if (ready == member.ready) return;
  member.ready = ready;
  if (ready) {
    ready_.push_back(handle);
    wake();
  } else {
    std::erase(ready_, handle);
  }
}

// --- records to members

// Older ones that came back go first.
std::size_t ShareGroup::on_records(const DeliveryBatch& batch) {
  const auto self = shared_from_this();  // a member may leave, and be the last
  const std::size_t count = count_records(batch.deliveries);
  const std::size_t given = returned_.empty() ? give(batch) : 0;
  const std::size_t kept = given - take_back_rest();
  if (kept == count) return count;
  stalled_ = true;
  if (!returned_.empty() || kept < given) wake();
  return kept;
}

// Gives records away until nobody has room; returns how many, from the front.
std::size_t ShareGroup::give(const DeliveryBatch& batch) {
  given_.clear();
  fill_portions(batch);
  const std::size_t given = given_.size();
  send_portions();
  return given;
}

void ShareGroup::fill_portions(const DeliveryBatch& batch) {
  for (const auto& [first, count, grant] : batch.deliveries) {
    for (std::uint32_t i = first; i < first + count; ++i) {
      const log::Record& record = batch.block->records()[i];
      if (!taken_.empty() &&
          skip_taken({batch.partition, batch.block->from() + record.offset_delta}))
        continue;
      const auto member = choose(record);
      if (!member) return;
      add(*member, batch, i);
    }
  }
}

std::optional<Handle> ShareGroup::choose(const log::Record& record) {
  if (open_ >= open_max) return std::nullopt;
  if (const auto holder = holders_.find(record.key_hash)) {
    const Member& member = members_.at(*holder);
    if (member.ready && has_credit(member.shard)) return members_.handle(*holder);
  }
  // Of two in turn the one with less to do: who is slow must not gather all keys, which stay with
  // it as long as it has some of them open.
  const auto one = next_in_turn();
  const auto other = one ? peek_in_turn() : std::nullopt;
  if (!other) return one;
  return members_.at(other->index).open.size() < members_.at(one->index).open.size() ? other : one;
}

std::optional<Handle> ShareGroup::next_in_turn() {
  for (std::size_t tried = 0; tried < ready_.size(); ++tried) {
    if (++turn_ >= ready_.size()) turn_ = 0;
    if (has_credit(members_.at(ready_[turn_].index).shard)) return ready_[turn_];
  }
  return std::nullopt;
}

// Who stands behind it, if that one could have been next.
std::optional<Handle> ShareGroup::peek_in_turn() const {
  const Handle handle = ready_[turn_ + 1 < ready_.size() ? turn_ + 1 : 0];
  if (!has_credit(members_.at(handle.index).shard)) return std::nullopt;
  return handle;
}

bool ShareGroup::has_credit(ShardId shard) const {
  return shard == home_ || in_transit_[shard.value] < in_transit_max;
}

void ShareGroup::add(Handle handle, const DeliveryBatch& batch, std::uint32_t index) {
  const log::Record& record = batch.block->records()[index];
  const Position position{batch.partition, batch.block->from() + record.offset_delta};
  SharePortion::Part& part = part_of(handle, batch);
  if (!part.runs.empty() && part.runs.back().record + part.runs.back().count == index)
    ++part.runs.back().count;
  else
    part.runs.push_back({index, 1});
  ++part.count;
  Member& member = members_.at(handle.index);
  const bool holds_key = is_acknowledged(record, member.qos);
  if (holds_key) holders_.hold(record.key_hash, handle.index);
  member.open.add({.position = position, .key_hash = record.key_hash, .holds_key = holds_key});
  ++open_;
  moved_ = true;
  given_.push_back(position);
  if (member.open.full()) renew_ready(handle);
}

SharePortion::Part& ShareGroup::part_of(Handle handle, const DeliveryBatch& batch) {
  Member& member = members_.at(handle.index);
  auto& portion = portions_[member.shard.value];
  if (!portion) {
    portion = std::make_shared<SharePortion>();
    portion->shard = member.shard;
    portion->partition = batch.partition;
    portion->prefix = batch.prefix;
    portion->block = batch.block;
  }
  if (member.part == 0) {
    portion->parts.push_back({.member = name_of(handle),
                              .membership = member.membership,
                              .round = member.round,
                              .first_ticket = member.open.next_ticket(),
                              .runs = {}});
    member.part = static_cast<std::uint32_t>(portion->parts.size());
  }
  return portion->parts[member.part - 1];
}

void ShareGroup::send_portions() {
  for (auto& place : portions_) {
    if (!place) continue;
    const auto portion = std::exchange(place, nullptr);
    for (const SharePortion::Part& part : portion->parts)
      members_.at(part.member.member.index).part = 0;
    const std::int64_t cost = portion->shard == home_ ? 0 : cost_of(*portion->block);
    in_transit_[portion->shard.value] += cost;
    deliver_(portion, when_alive([portion, cost](ShareGroup& group) {
               group.in_transit_[portion->shard.value] -= cost;
               group.on_answer(*portion);
             }));
  }
}

void ShareGroup::on_answer(const SharePortion& portion) {
  std::vector<Position> positions;
  for (const SharePortion::Part& part : portion.parts) {
    const Handle handle = part.member.member;
    Member* member = members_.find(handle);
    if (!member || part.taken == part.count) continue;
    for (std::uint32_t i = part.taken; i < part.count; ++i)
      if (const auto record = close(handle, part.first_ticket + i))
        positions.push_back(record->position);
    if (part.round == member->round) {
      ++member->round;
      member->blocked = true;
    }
    if (member->stopped && member->open.empty())
      erase(handle);
    else
      renew_ready(handle);
  }
  const bool has_more_credit = portion.shard != home_;
  if (has_more_credit || !positions.empty()) wake();
  put_back(std::move(positions));
}

void ShareGroup::put_back(std::vector<Position> positions) {
  if (positions.empty()) return;
  moved_ = true;
  std::ranges::sort(positions);
  std::vector<Position> all;
  all.reserve(returned_.size() + positions.size());
  std::ranges::merge(returned_, positions, std::back_inserter(all));
  returned_ = std::move(all);
}

// What came back at once from the end of what give() gave was not given after all: the Distributor
// keeps it. Returns how many.
std::size_t ShareGroup::take_back_rest() {
  std::size_t count = 0;
  for (; !returned_.empty() && !given_.empty(); ++count) {
    if (returned_.back() != given_.back()) break;
    returned_.pop_back();
    given_.pop_back();
  }
  given_.clear();
  return count;
}

// True: some session has the record already. It counts as given.
bool ShareGroup::skip_taken(Position position) {
  const auto at = std::ranges::lower_bound(taken_, position);
  if (at == taken_.end() || *at != position) return false;
  taken_.erase(at);
  moved_ = true;
  given_.push_back(position);
  return true;
}

// --- going on

// What was held back may go on, in the next turn: the caller may be in the middle of a block.
void ShareGroup::wake() {
  if (std::exchange(woken_, true)) return;
  context_.loop.post(when_alive([](ShareGroup& group) {
    group.woken_ = false;
    group.go_on();
  }));
}

void ShareGroup::go_on() {
  if (ready_.empty()) return;
  if (!returned_.empty()) return read_returned();
  if (std::exchange(stalled_, false)) context_.distributor.resume(subscriber_);
}

}  // namespace sluice::hub
