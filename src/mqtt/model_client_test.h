#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "sim/world.h"

namespace sluice::mqtt {

// An MQTT client that keeps its part of a session over all its connections, as MQTT 3.1.1, section
// 4.1, has it, and notes what it was given and promised. Packets are taken and answered when it is
// told to.
class ModelClient {
 public:
  ModelClient(std::string id, std::string topic) : id_(std::move(id)), topic_(std::move(topic)) {}

  struct Sent {
    int number;
    bool received = false;  // PUBREC has come
  };
  // What it is owed: all that was published to a filter from its SUBACK on.
  struct Filter {
    bool granted = false;             // SUBACK has come
    std::map<std::string, int> from;  // topic -> the first number that was not sent yet then
  };

  [[nodiscard]] const std::string& topic() const { return topic_; }
  [[nodiscard]] bool connected() const { return wire_ != nullptr && accepted_; }
  [[nodiscard]] bool online() const { return wire_ != nullptr; }
  [[nodiscard]] bool has_news() const { return wire_ && !wire_->received().empty(); }
  // A CONNECT that ends the session and whose answer nobody waits for may arrive at any later time.
  [[nodiscard]] bool may_leave() const { return !online() || !clean_ || confirmed_; }
  // One SUBSCRIBE or UNSUBSCRIBE at a time.
  [[nodiscard]] bool may_ask() const { return !asked_ && !removing_; }
  [[nodiscard]] bool idle() const { return open_.empty() && may_ask(); }
  [[nodiscard]] int published() const { return next_number_; }
  [[nodiscard]] bool is_certain(int number) const { return !uncertain_.contains(number); }
  [[nodiscard]] const std::map<std::string, Filter>& filters() const { return filters_; }
  [[nodiscard]] const std::map<std::string, std::vector<int>>& received() const {
    return received_;
  }
  [[nodiscard]] const std::vector<std::string>& failures() const { return failures_; }

  void connect(std::unique_ptr<sim::SimClient> wire, bool clean);
  void cut() {
    wire_.reset();
    accepted_ = false;
  }  // the connection, whoever notices
  void disconnect();
  void publish();
  void subscribe(const std::string& filter);
  void unsubscribe(const std::string& filter);
  // Takes the packets that have come; answers some of what it owes, or all.
  void step(Random& random, const std::vector<const ModelClient*>& publishers, bool all);
  // The session ended while nobody was connected.
  void expire();

 private:
  void take(const Frame& frame, const std::vector<const ModelClient*>& publishers);
  void on_connack(const Connack& connack);
  void on_publish(const Publish& publish);
  void send_publish(std::uint16_t id, const Sent& sent, bool dup);
  void send_ack(PacketType type, std::uint16_t id);
  void forget_session();
  void send(Bytes bytes) { wire_->send(bytes); }

  const std::string id_;
  const std::string topic_;  // to which it publishes
  std::unique_ptr<sim::SimClient> wire_;
  bool accepted_ = false;  // CONNACK has come
  bool clean_ = false;
  bool confirmed_ = false;    // CONNACK of the newest CONNECT has come, on whatever became of it
  bool established_ = false;  // a session that stays was confirmed
  int next_number_ = 0;
  std::uint16_t next_id_ = 1;
  std::vector<std::pair<std::uint16_t, Sent>> open_;  // in the order first sent
  std::set<int> uncertain_;       // numbers of publishes that a session took along
  std::set<std::uint16_t> held_;  // received, not released
  std::deque<std::pair<PacketType, std::uint16_t>> owed_;
  std::optional<std::string> asked_;     // a filter whose SUBACK is due
  std::optional<std::string> removing_;  // whose UNSUBACK is
  std::map<std::string, Filter> filters_;
  std::map<std::string, std::vector<int>> received_;
  std::vector<std::string> failures_;
};

}  // namespace sluice::mqtt
