// sessload: load of MQTT sessions that outlive their connections; checks what each of them gets.
//
// One thread, one epoll. What it does: options.cc.
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string_view>
#include <vector>

#include "sessload/options.h"
#include "sessload/packets.h"
#include "sessload/publishers.h"
#include "sessload/sessions.h"

namespace sessload {

namespace {

constexpr std::chrono::milliseconds tick(10);  // what has a rate goes in such steps
constexpr std::uint64_t ticks_of_step = 10;    // slow sessions acknowledge in these

double own_cpu_s() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

class Run {
 public:
  explicit Run(const Options& options)
      : options_(options),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        buffer_(1 << 18),
        sessions_(options, epoll_),
        publishers_(options, epoll_, sessions_.size()) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() { close(epoll_); }

  void go() {
    now_ = progress_ = began_ = Clock::now();
    while (!is_over() && !is_stalled()) {
      sessions_.open();
      wait();
      now_ = Clock::now();
      if (options_.publishes()) see_to_publishing();
    }
  }

  // Whether everybody got everything once.
  [[nodiscard]] bool report() const {
    const Taken taken = sessions_.taken();
    std::printf(
        "{\"scenario\":\"%s\",\"sessions\":%u,\"published\":%llu,\"messages\":%llu,"
        "\"missing\":%llu,\"repeated\":%llu,\"dup_flags\":%llu,\"stalled\":%s,\"seconds\":%.4f,"
        "\"published_s\":%.4f,\"first_s\":%.4f,\"last_s\":%.4f,\"sockets_max\":%u,"
        "\"client_cpu_s\":%.3f}\n",
        options_.scenario.c_str(), options_.sessions, wide(publishers_.acknowledged()),
        wide(taken.messages), wide(taken.missing), wide(taken.repeated), wide(taken.dup_flags),
        is_over() ? "false" : "true", seconds(now_), seconds(published_), seconds(taken.first),
        seconds(taken.last), sessions_.sockets_max(), own_cpu_s());
    return is_over() && taken.missing == 0 && taken.repeated == 0;
  }

 private:
  static unsigned long long wide(std::uint64_t value) { return value; }

  [[nodiscard]] double seconds(Clock::time_point at) const {
    return at < began_ ? 0 : std::chrono::duration<double>(at - began_).count();
  }

  [[nodiscard]] bool is_over() const {
    return sessions_.are_gone() && (!options_.publishes() || publishers_.are_done());
  }
  [[nodiscard]] bool is_stalled() const {
    return now_ - progress_ > std::chrono::seconds(options_.stall);
  }

  void wait() {
    std::array<epoll_event, 512> events{};
    const int timeout_ms = publishing_ ? 5 : 100;
    const int size = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
    if (size > 0) progress_ = Clock::now();
    for (int i = 0; i < size; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const std::uint32_t key = event.data.u32;
      if (key < sessions_.size())
        sessions_.on_event(key, event.events, buffer_);
      else
        publishers_.on_event(key, event.events, buffer_);
    }
  }

  // Publishers come when the sessions are there, and begin together; sessions take the rest at once
  // when they are done.
  void see_to_publishing() {
    if (!publishers_.are_open()) {
      if (sessions_.are_connected()) publishers_.open();
    } else if (!publishing_ && publishers_.are_connected() && !publishers_.are_done()) {
      publishing_ = true;
      began_ = next_tick_ = now_;
      publishers_.publish(0);
    } else if (publishing_ && publishers_.are_done()) {
      publishing_ = false;
      published_ = now_;
      sessions_.hurry();
    }
    for (; publishing_ && now_ >= next_tick_; next_tick_ += tick) on_tick();
  }

  void on_tick() {
    if (options_.rate > 0) publishers_.publish(seconds(now_));
    if (++ticks_ % ticks_of_step == 0 && options_.is_slow()) sessions_.acknowledge_some();
  }

  const Options& options_;
  int epoll_;
  std::vector<char> buffer_;  // for what is received
  Sessions sessions_;
  Publishers publishers_;
  bool publishing_ = false;
  std::uint64_t ticks_ = 0;
  Clock::time_point now_, began_, published_, progress_, next_tick_;
};

void allow_many_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main_of(const std::vector<std::string_view>& words) {
  if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h")) {
    std::fputs(help, stdout);
    return 0;
  }
  std::signal(SIGPIPE, SIG_IGN);
  allow_many_files();
  try {
    const Options options = options_of(words);
    Run run(options);
    run.go();
    return run.report() ? 0 : 3;
  } catch (const Usage& usage) {
    std::fprintf(stderr, "sessload: %s; see --help\n", usage.what());
    return 2;
  } catch (const Fault& fault) {
    std::printf("{\"error\":\"%s\"}\n", fault.what());
    return 1;
  }
}

}  // namespace

}  // namespace sessload

int main(int argc, char** argv) { return sessload::main_of({argv + 1, argv + argc}); }
