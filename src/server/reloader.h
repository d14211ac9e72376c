#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "runtime/loop.h"
#include "runtime/worker.h"

namespace sluice::server {

// Keeps what was made from files in step with them while the hub runs: looks at them every two
// seconds, and loads at once when asked to (SIGHUP). What cannot be loaded is logged, and the old
// one stays in use until the files change again.
//
// Thread: all on the loop given, before it runs or on it; files are read on a helper thread.
class Reloader {
 public:
  static constexpr auto interval = std::chrono::seconds(2);

  struct Subject {
    std::string name;  // for the log: "certificates"
    // On the helper: the paths to be watched, which may be missing.
    std::function<std::vector<std::string>()> files;
    // On the helper: reads and checks. What it returns is run on the loop and puts the new one to
    // use.
    std::function<Result<Task>()> load;
  };

  explicit Reloader(runtime::Loop& loop);
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  // Before start(). The subject is taken to be loaded from its files as they are now.
  void add(Subject subject);
  void start();
  void reload_all();

 private:
  // What tells one state of a set of files from another: sizes, times and inodes.
  using Stamp = std::string;
  struct Watched {
    Subject subject;
    Stamp loaded;
    Stamp seen;  // at the last look
  };
  struct Loaded {
    std::string name;
    Result<Task> use;
  };
  using Results = std::shared_ptr<std::vector<Loaded>>;

  static Stamp stamp_of(const Subject& subject);
  static bool is_due(Watched& watched, bool asked_for);
  void look(bool asked_for, Task then);
  void look_again_later();
  static void put_to_use(const Results& results);

  runtime::Loop& loop_;
  std::vector<Watched> watched_;  // the helper's, once started
  std::unique_ptr<runtime::Worker> worker_;
};

}  // namespace sluice::server
