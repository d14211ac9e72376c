#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::mqtt {

// The topic aliases that a client has defined (MQTT 5, 3.3.2.3.4).
class ReceivedAliases {
 public:
  static constexpr std::size_t bytes_max = 256 << 10;  // of all topics of a client

  // `alias` is 1 to the maximum that was announced. False: the topics take more than bytes_max.
  [[nodiscard]] bool define(std::uint16_t alias, std::string_view topic) {
    if (alias > topics_.size()) topics_.resize(alias);
    std::string& place = topics_[alias - 1];
    bytes_ += topic.size() - place.size();
    if (bytes_ > bytes_max) return false;
    place.assign(topic);
    return true;
  }
  // Empty: it was never defined. Valid until the alias is defined again.
  [[nodiscard]] std::string_view find(std::uint16_t alias) const {
    return alias > 0 && alias <= topics_.size() ? topics_[alias - 1] : std::string_view();
  }

 private:
  std::vector<std::string> topics_;  // by alias - 1
  std::size_t bytes_ = 0;
};

// The topic aliases used towards a client. A topic has one place, by its hash. Whoever is there
// stays until a message of another topic with the same place has come and it has not been used
// since, so that topics which take turns don't push each other out all the time.
class SentAliases {
 public:
  // Topics outside these sizes get none: they would save nothing, or cost too much memory.
  static constexpr std::size_t topic_min = 8;
  static constexpr std::size_t topic_max = 1024;
  static constexpr std::uint16_t count_max = 256;

  // `count`: aliases that may be used, 1 to count_max.
  explicit SentAliases(std::uint16_t count)
      : places_(std::make_unique<Place[]>(count)), count_(count) {}

  struct Choice {
    std::uint16_t alias = 0;  // 0: none
    bool known = false;       // to the client: it need not be told the topic
  };
  // For a message of the topic `prefix` + `key`. One that is not known is told to the client with
  // the topic; then define() it.
  Choice choose(std::string_view prefix, std::string_view key, std::uint32_t key_hash) {
    const std::size_t size = prefix.size() + key.size();
    if (size < topic_min || size > topic_max) return {};
    const auto alias = static_cast<std::uint16_t>(key_hash % count_ + 1);
    Place& place = places_[alias - 1];
    if (place.topic.size() == size && place.topic.starts_with(prefix) &&
        place.topic.ends_with(key)) {
      place.used = true;
      return {alias, true};
    }
    if (place.used) {
      place.used = false;
      return {};
    }
    return {alias, false};
  }
  void define(std::uint16_t alias, std::string_view prefix, std::string_view key) {
    Place& place = places_[alias - 1];
    place.topic.assign(prefix).append(key);
    place.used = true;
  }

 private:
  struct Place {
    std::string topic;  // empty: the alias was never used
    bool used = false;
  };
  std::unique_ptr<Place[]> places_;
  std::uint16_t count_;
};

}  // namespace sluice::mqtt
