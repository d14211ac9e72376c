#include "server/reloader.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

#include "base/logger.h"

namespace sluice::server {
namespace {

constexpr Logger logger("server");

}  // namespace

Reloader::Reloader(runtime::Loop& loop) : loop_(loop), worker_(loop.make_worker("reload")) {}

void Reloader::add(Subject subject) {
  Stamp now = stamp_of(subject);
  watched_.push_back({std::move(subject), now, now});
}

void Reloader::start() { look_again_later(); }

void Reloader::reload_all() {
  look(true, [] {});
}

void Reloader::look_again_later() {
  loop_.run_after(interval, [this] { look(false, [this] { look_again_later(); }); });
}

void Reloader::look(bool asked_for, Task then) {
  const auto results = std::make_shared<std::vector<Loaded>>();
  worker_->submit(
      [this, results, asked_for] {
        for (Watched& watched : watched_)
          if (is_due(watched, asked_for))
            results->push_back({watched.subject.name, watched.subject.load()});
      },
      [results, then = std::move(then)]() mutable {
        put_to_use(results);
        then();
      });
}

// Files that are just being written, one after the other, are left alone until two looks see the
// same.
bool Reloader::is_due(Watched& watched, bool asked_for) {
  const Stamp now = stamp_of(watched.subject);
  const bool is_steady = std::exchange(watched.seen, now) == now;
  if (!asked_for && (now == watched.loaded || !is_steady)) return false;
  watched.loaded = now;
  return true;
}

void Reloader::put_to_use(const Results& results) {
  for (Loaded& loaded : *results) {
    if (!loaded.use) {
      logger.error("reload failed, the old one stays in use",
                   {{"what", loaded.name}, {"reason", loaded.use.error().text}});
      continue;
    }
    (*loaded.use)();
    logger.info("reloaded", {{"what", loaded.name}});
  }
}

Reloader::Stamp Reloader::stamp_of(const Subject& subject) {
  Stamp stamp;
  for (const std::string& path : subject.files()) {
    struct stat file{};
    const bool is_there = ::stat(path.c_str(), &file) == 0;
    stamp += fmt::format("{}:{}:{}:{}:{}.{}\n", path, is_there, file.st_ino, file.st_size,
                         file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
  }
  return stamp;
}

}  // namespace sluice::server
