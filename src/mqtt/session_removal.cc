#include "mqtt/session_removal.h"

#include <optional>
#include <utility>

namespace sluice::mqtt {

void SessionRemoval::start() {
  sessions_.show(client_id_, [self = shared_from_this()](
                                 const Result<std::optional<sessions::Details>>& found) {
    if (!found) return self->done_(std::unexpected(found.error()));
    if (!*found) return self->done_(false);
    self->claim();
  });
}

// As a new connection of the client would: whoever has the id hands its session back first.
void SessionRemoval::claim() {
  ++attempts_;
  claimant_ = random_.next() | 1;  // an id like that of a connection
  holds_id_ = true;
  hub_.claim(
      client_id_, claimant_, hub::Claim::remove,
      [self = shared_from_this()](std::uint64_t, hub::Claim, Task done) {
        self->holds_id_ = false;
        done();
      },
      [self = shared_from_this()](const Result<void>&) { self->remove(); });
}

// Also if another connection has the id now: it may not have come to opening the session yet, and
// then begins another one.
void SessionRemoval::remove() {
  sessions_.remove(client_id_, [self = shared_from_this()](Result<bool> removed) {
    self->on_removed(std::move(removed));
  });
}

void SessionRemoval::on_removed(Result<bool> removed) {
  if (std::exchange(holds_id_, false)) hub_.release(client_id_, claimant_);
  if (removed) return done_(true);  // or it has ended by itself meanwhile
  if (removed.error().code != Errc::exists) return done_(std::move(removed));
  if (attempts_ < attempts_max) return claim();
  done_(fail(Errc::exists, "client '{}' was back {} times before its session could be deleted",
             client_id_, attempts_));
}

}  // namespace sluice::mqtt
