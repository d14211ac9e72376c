#include "sessions/sessions.h"

#include <utility>

#include "runtime/ask.h"
#include "sessions/call_count.h"
#include "sessions/evidence.h"
#include "sessions/groups.h"
#include "sessions/home.h"
#include "sessions/listing.h"
#include "sessions/rounds.h"
#include "sessions/sweep.h"

namespace sluice::sessions {
namespace {

constexpr std::string_view table_name = "__sessions";

Error stopped_error() { return {Errc::closed, "sessions are stored no more: the hub is stopping"}; }

// Keeps the answers to all shards until the last one has come.
class Gathering {
 public:
  // `on_all` runs when it has, and then the task that it is given, which answers all.
  Gathering(std::uint32_t shards, std::move_only_function<void(Task answer)> on_all)
      : missing_(shards), on_all_(std::move(on_all)) {}
  void arrive(Task answer) {
    answers_.push_back(std::move(answer));
    if (--missing_ > 0) return;
    on_all_([this] {
      for (Task& one : std::exchange(answers_, {})) one();
    });
  }

 private:
  std::uint32_t missing_;
  std::move_only_function<void(Task)> on_all_;
  std::vector<Task> answers_;
};

}  // namespace

class Sessions::Impl {
 public:
  Impl(Group& group, const table::Table::Context& context, Random random);

  // --- start and end
  void open(Done<void> done);
  void ask_for_mark();
  void begin_at_ends();
  void search();
  void begin_sweep(SeenRef seen);
  void finish_open(Result<void> result);
  void stop(Done<void> done);
  void stop_here(Done<void> done);

  // --- calls
  [[nodiscard]] Impl& on(ShardId shard) { return *group_.on(shard).impl_; }
  template <class T>
  void call(const std::string& client_id, std::move_only_function<void(Home&, Done<T>)> work,
            Done<T> done);
  // Does `work` on all shards; `done` runs here when all are through, with the first error.
  using Work = std::function<void(Impl& there, Done<void> done)>;
  void on_all(const Work& work, Done<void> done);
  void inspect(const std::string& client_id, const std::string& text, ShareId share,
               Done<Groups::Part> done);
  void save_all_here(Done<void> done);
  void flush_table(Done<void> done);
  [[nodiscard]] Rounds::Steps steps();

  Group& group_;
  table::Table table_;
  const Place place_;
  runtime::OrderedAsks asks_;
  Home home_;
  Groups groups_;
  Evidence evidence_;
  Sweep sweep_;
  CallCount calls_;
  Flush flush_ = [](Task done) { done(); };
  bool stopped_ = false;
  Done<void> opened_;  // while it is awaited

  // Of shard 0, for all.
  Rounds rounds_;
  bool loaded_ = false;                 // it knows whether there is a mark
  std::vector<Task> waiting_for_mark_;  // until it does
  Seen gathered_;
  SeenRef seen_;
  Gathering at_ends_;
  Gathering searched_;
  Gathering swept_;
};

Sessions::Impl::Impl(Group& group, const table::Table::Context& context, Random random)
    : group_(group),
      table_(context, std::string(table_name)),
      place_{.loop = context.loop,
             .stream = context.stream,
             .table = &table_,
             .shard = context.shard,
             .shards = context.shards},
      asks_(group.mailboxes(), context.shard),
      home_(place_, *context.metrics, random),
      groups_(
          place_, home_.rows(), Random(random.next()),
          [this](const std::string& client_id, const std::string& text, ShareId share,
                 Done<Groups::Part> done) { inspect(client_id, text, share, std::move(done)); }),
      evidence_(place_, *context.metrics),
      sweep_(place_, home_),
      rounds_(place_, steps()),
      at_ends_(context.shards,
               [this](Task answer) {
                 evidence_.mark([this, answer = std::move(answer)](Result<void> marked) mutable {
                   if (!marked) return finish_open(std::move(marked));
                   answer();
                 });
               }),
      searched_(context.shards,
                [this](Task answer) {
                  seen_ = std::make_shared<Seen>(std::exchange(gathered_, {}));
                  answer();
                  seen_.reset();
                }),
      swept_(context.shards, [this](Task answer) {
        answer();
        rounds_.start();
      }) {
  home_.rows().set_on_share_gone([this](const std::string& text, ShareId share) {
    const ShardId home = shard_of_slot(slot_of_group(text), place_.shards);
    asks_.ask(
        home,
        [&there = on(home), text, share](Task reply) {
          there.groups_.release(text, share);
          reply();
        },
        [] {});
  });
}

// --- start

void Sessions::Impl::open(Done<void> done) {
  opened_ = std::move(done);
  home_.start();
  table_.open([this](Result<void> opened) {
    if (!opened) return finish_open(std::move(opened));
    evidence_.load([this](Result<void> loaded) {
      if (!loaded) return finish_open(std::move(loaded));
      loaded_ = true;
      for (Task& task : std::exchange(waiting_for_mark_, {})) task();
      ask_for_mark();
    });
  });
}

void Sessions::Impl::ask_for_mark() {
  const auto marked = std::make_shared<bool>();
  asks_.ask(
      ShardId{0},
      [&first = on({0}), marked](Task reply) {
        Task tell = [&first, marked, reply = std::move(reply)]() mutable {
          *marked = first.evidence_.marked();
          reply();
        };
        if (first.loaded_) return tell();
        first.waiting_for_mark_.push_back(std::move(tell));
      },
      [this, marked] { *marked ? search() : begin_at_ends(); });
}

// Nothing was ever stored; the first session is let in when a start would find that some are.
void Sessions::Impl::begin_at_ends() {
  evidence_.begin_at_ends([this](Result<void> begun) {
    if (!begun) return finish_open(std::move(begun));
    asks_.ask(
        ShardId{0}, [&first = on({0})](Task reply) { first.at_ends_.arrive(std::move(reply)); },
        [this] {
          begin_sweep(std::make_shared<Seen>());
          finish_open({});
        });
  });
}

// Nobody waits for it but sessions that were cut off.
void Sessions::Impl::search() {
  evidence_.search([this](Seen seen) {
    const auto all = std::make_shared<SeenRef>();
    asks_.ask(
        ShardId{0},
        [&first = on({0}), seen = std::move(seen), all](Task reply) {
          note_evidence(first.gathered_, seen);
          first.searched_.arrive([&first, all, reply = std::move(reply)]() mutable {
            *all = first.seen_;
            reply();
          });
        },
        [this, all] { begin_sweep(std::move(*all)); });
  });
  finish_open({});
}

void Sessions::Impl::begin_sweep(SeenRef seen) {
  home_.set_seen(std::move(seen));
  sweep_.start([this] {
    home_.set_seen(std::make_shared<Seen>());  // it is in the rows now
    asks_.ask(
        ShardId{0}, [&first = on({0})](Task reply) { first.swept_.arrive(std::move(reply)); },
        [] {});
  });
}

void Sessions::Impl::finish_open(Result<void> result) {
  if (opened_) std::exchange(opened_, nullptr)(std::move(result));
}

// --- end

void Sessions::Impl::stop(Done<void> done) {
  if (place_.shard != ShardId{0}) return stop_here(std::move(done));
  rounds_.finish([this, done = std::move(done)](Result<void> saved) mutable {
    stop_here([saved = std::move(saved), done = std::move(done)](Result<void> stopped) mutable {
      done(saved ? std::move(stopped) : std::move(saved));
    });
  });
}

void Sessions::Impl::stop_here(Done<void> done) {
  stopped_ = true;
  groups_.stop();
  sweep_.stop();
  table_.stop(std::move(done));
}

// --- rounds

Rounds::Steps Sessions::Impl::steps() {
  const auto on_all_shards = [this](Work work) {
    return [this, work = std::move(work)](Done<void> done) { on_all(work, std::move(done)); };
  };
  return {.note_ends = on_all_shards([](Impl& there, Done<void> done) {
            there.evidence_.note_ends([done = std::move(done)]() mutable { done({}); });
          }),
          .save_all = on_all_shards(
              [](Impl& there, Done<void> done) { there.save_all_here(std::move(done)); }),
          .put_positions = on_all_shards([](Impl& there, Done<void> done) {
            there.evidence_.put_positions();
            done({});
          })};
}

void Sessions::Impl::on_all(const Work& work, Done<void> done) {
  const Together together(group_.size(), std::move(done));
  for (std::uint32_t i = 0; i < group_.size(); ++i) {
    const auto answer = std::make_shared<Result<void>>();
    asks_.ask(
        ShardId{i},
        [&there = on({i}), work, answer](Task reply) {
          work(there, [answer, reply = std::move(reply)](Result<void> result) mutable {
            *answer = std::move(result);
            reply();
          });
        },
        [answer, answered = together.answer()]() mutable { answered(std::move(*answer)); });
  }
}

// What this shard's connections have done so far is durable, wherever their sessions are at home.
// Where something could not be put, positions stay for this time.
void Sessions::Impl::save_all_here(Done<void> done) {
  flush_([this, done = std::move(done)]() mutable {
    calls_.when_ended([this, done = std::move(done)](Result<void> ended) mutable {
      if (!ended) return done(std::move(ended));
      on_all([](Impl& there, Done<void> flushed) { there.flush_table(std::move(flushed)); },
             std::move(done));
    });
  });
}

void Sessions::Impl::flush_table(Done<void> done) {
  if (stopped_) return done({});
  std::vector<std::uint32_t> slots;
  for (std::uint32_t slot = place_.shard.value; slot < slot_count; slot += place_.shards)
    slots.push_back(slot);
  if (slots.empty()) return done({});
  const Together together(slots.size(), std::move(done));
  for (const std::uint32_t slot : slots) table_.flush(slot, together.answer());
}

// --- calls

template <class T>
void Sessions::Impl::call(const std::string& client_id,
                          std::move_only_function<void(Home&, Done<T>)> work, Done<T> done) {
  const ShardId home = shard_of_slot(slot_of_client(client_id), group_.size());
  const auto answer = std::make_shared<Result<T>>();
  asks_.ask(
      home,
      [&there = on(home), work = std::move(work), answer](Task reply) mutable {
        if (there.stopped_) {
          *answer = std::unexpected(stopped_error());
          return reply();
        }
        work(there.home_, [answer, reply = std::move(reply)](Result<T> result) mutable {
          *answer = std::move(result);
          reply();
        });
      },
      [this, part = calls_.begin(), answer, done = std::move(done)]() mutable {
        calls_.end(part, *answer ? nullptr : &answer->error());
        done(std::move(*answer));
      });
}

void Sessions::Impl::inspect(const std::string& client_id, const std::string& text, ShareId share,
                             Done<Groups::Part> done) {
  call<Groups::Part>(
      client_id,
      [client_id, text, share](Home& home, Done<Groups::Part> inspected) {
        home.inspect(client_id, text, share, std::move(inspected));
      },
      std::move(done));
}

Sessions::Sessions(Group& group, const table::Table::Context& context, Random random)
    : impl_(std::make_unique<Impl>(group, context, random)) {}
Sessions::~Sessions() = default;

void Sessions::set_on_will(OnWill on_will) { impl_->home_.set_on_will(std::move(on_will)); }
void Sessions::set_flush(Flush flush) { impl_->flush_ = std::move(flush); }
void Sessions::open(Done<void> done) { impl_->open(std::move(done)); }
void Sessions::stop(Done<void> done) { impl_->stop(std::move(done)); }

void Sessions::connect(Opening opening, Done<Opened> done) {
  const std::string client_id = opening.client_id;
  impl_->call<Opened>(
      client_id,
      [opening = std::move(opening)](Home& home, Done<Opened> opened) mutable {
        home.connect(std::move(opening), std::move(opened));
      },
      std::move(done));
}

void Sessions::put_filter(const std::string& client_id, Uid uid, Filter filter, Done<void> done) {
  impl_->call<void>(
      client_id,
      [client_id, uid, filter = std::move(filter)](Home& home, Done<void> put) {
        home.put_filter(client_id, uid, filter, std::move(put));
      },
      std::move(done));
}

void Sessions::erase_filter(const std::string& client_id, Uid /*uid*/, std::string text,
                            ShareId share, Done<void> done) {
  impl_->call<void>(
      client_id,
      [client_id, text = std::move(text), share](Home& home, Done<void> erased) {
        home.erase_filter(client_id, text, share, std::move(erased));
      },
      std::move(done));
}

void Sessions::save(const std::string& client_id, Uid uid, Progress progress) {
  impl_->call<void>(
      client_id,
      [client_id, uid, progress = std::move(progress)](Home& home, Done<void> done) {
        home.save_behind(client_id, uid, progress);
        done({});
      },
      [](const Result<void>&) {});
}

void Sessions::save(const std::string& client_id, Uid uid, Progress progress, Done<void> done) {
  impl_->call<void>(
      client_id,
      [client_id, uid, progress = std::move(progress)](Home& home, Done<void> saved) {
        home.save(client_id, uid, progress, std::move(saved));
      },
      std::move(done));
}

void Sessions::disconnect(const std::string& client_id, Uid uid, std::uint32_t expiry_s,
                          bool keep_will, Progress progress, Done<void> done) {
  impl_->call<void>(
      client_id,
      [client_id, uid, expiry_s, keep_will, progress = std::move(progress)](
          Home& home, Done<void> gone) mutable {
        home.disconnect(client_id, uid, expiry_s, keep_will, std::move(progress), std::move(gone));
      },
      std::move(done));
}

void Sessions::erase_will(const std::string& client_id, Uid uid) {
  impl_->call<void>(
      client_id,
      [client_id, uid](Home& home, Done<void> done) {
        home.erase_will(client_id, uid);
        done({});
      },
      [](const Result<void>&) {});
}

Groups& Sessions::groups() { return impl_->groups_; }

// --- for administrators

void Sessions::list(PageQuery query, Done<Page<Summary>> done) {
  const auto pages = std::make_shared<std::vector<Page<Summary>>>(impl_->group_.size());
  const std::size_t limit = query.limit;
  impl_->on_all(
      [pages, query = std::move(query)](Impl& there, Done<void> listed) {
        if (there.stopped_) return listed(std::unexpected(stopped_error()));
        auto found = [pages, shard = there.place_.shard.value,
                      listed = std::move(listed)](const Result<Page<Summary>>& page) mutable {
          if (!page) return listed(std::unexpected(page.error()));
          (*pages)[shard] = *page;
          listed({});
        };
        std::make_shared<Listing<Summary>>(there.place_, query, std::move(found))->start();
      },
      [pages, limit, done = std::move(done)](Result<void> listed) mutable {
        if (!listed) return done(std::unexpected(std::move(listed.error())));
        done(merge_pages(std::move(*pages), &Summary::client_id, limit));
      });
}

void Sessions::show(const std::string& client_id, Done<std::optional<Details>> done) {
  impl_->call<std::optional<Details>>(
      client_id,
      [client_id](Home& home, Done<std::optional<Details>> shown) {
        home.show(client_id, std::move(shown));
      },
      std::move(done));
}

void Sessions::remove(const std::string& client_id, Done<bool> done) {
  impl_->call<bool>(
      client_id,
      [client_id](Home& home, Done<bool> removed) { home.remove(client_id, std::move(removed)); },
      std::move(done));
}

}  // namespace sluice::sessions
