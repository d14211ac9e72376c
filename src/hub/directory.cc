#include "hub/directory.h"

#include <utility>

namespace sluice::hub {

Directory::Directory(Group& group, ShardId shard, std::function<Directory&(ShardId)> on_shard)
    : group_(group), shard_(shard), on_shard_(std::move(on_shard)) {}

ShardId Directory::home_of(std::string_view client_id) const {
  return shard_of_slot(slot_of_client(client_id), group_.size());
}

void Directory::claim(std::string client_id, std::uint64_t session, Claim claim, Evict evict,
                      Done<void> done) {
  evictions_.emplace(session, std::move(evict));
  const ShardId home = home_of(client_id);
  ask(
      home,
      [this, home, client_id = std::move(client_id), session, claim](Task reply) {
        on_shard_(home).grant(client_id, {shard_, session}, claim, std::move(reply));
      },
      [this, session, done = std::move(done)]() mutable {
        if (evictions_.contains(session)) return done({});
        done(fail(Errc::closed, "the client id was claimed anew, or given up"));
      });
}

void Directory::release(std::string_view client_id, std::uint64_t session) {
  evictions_.erase(session);
  const ShardId home = home_of(client_id);
  ask(
      home,
      [this, home, client_id = std::string(client_id), session](Task reply) {
        on_shard_(home).forget(client_id, session);
        reply();
      },
      [] {});
}

void Directory::grant(const std::string& client_id, Holder holder, Claim claim, Task granted) {
  const auto [place, added] = holders_.try_emplace(client_id, holder);
  if (!added) end_older(client_id, std::exchange(place->second, holder), claim);
  // Also where the newest of them gave up: who is still leaving has yet to save its state.
  const auto leaving = leaving_.find(client_id);
  if (leaving == leaving_.end()) return granted();
  leaving->second.granted.push_back(std::move(granted));
}

void Directory::end_older(const std::string& client_id, Holder older, Claim claim) {
  ++leaving_[client_id].holders;
  ask(
      older.shard,
      [this, older, claim](Task reply) {
        on_shard_(older.shard).evict(older.session, claim, std::move(reply));
      },
      [this, client_id] { on_ended(client_id); });
}

void Directory::on_ended(const std::string& client_id) {
  const auto leaving = leaving_.find(client_id);
  if (--leaving->second.holders > 0) return;
  std::vector<Task> granted = std::move(leaving->second.granted);
  leaving_.erase(leaving);
  for (Task& grant : granted) grant();
}

void Directory::forget(std::string_view client_id, std::uint64_t session) {
  const auto found = holders_.find(client_id);
  if (found != holders_.end() && found->second.session == session) holders_.erase(found);
}

void Directory::evict(std::uint64_t session, Claim newer, Task done) {
  auto found = evictions_.extract(session);
  if (!found) return done();  // it has given the id up meanwhile
  found.mapped()(session, newer, std::move(done));
}

void Directory::ask(ShardId to, runtime::Request request, Task done) {
  runtime::ask(group_.mailboxes(), shard_, to, std::move(request), std::move(done));
}

}  // namespace sluice::hub
