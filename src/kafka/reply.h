#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/task.h"
#include "kafka/frame.h"

namespace sluice::kafka {

// Why a connection is closed: the label of sluice_kafka_errors_total.
enum class Refusal : std::uint8_t {
  bad_frame,  // a frame or header that breaks the protocol
  frame_too_large,
  malformed_request,  // a body that can't be decoded
  unknown_api,
  unsupported_version,
  unauthorized,         // a request that needs a login
  login_failed,         // logged by access
  failed_without_acks,  // acks=0 and the produce request failed: only closing can say so
  idle,
};
constexpr std::size_t refusal_count = 9;
std::string_view to_string(Refusal refusal);

// Counts the requests of a connection.
enum class RequestId : std::uint64_t {};

// What a request's handler needs of its connection. Calls for requests that are answered already do
// nothing.
class ReplySink {
 public:
  virtual void on_answer(RequestId request,
                         Frame frame) = 0;  // an empty frame: answered by nothing
  virtual void on_release(RequestId request) = 0;
  virtual void on_cancel(RequestId request, Task task) = 0;
  virtual void on_refuse(Refusal refusal, std::string_view text) = 0;

 protected:
  ~ReplySink() = default;
};

// The way back for one request, whoever holds it, now or later, on the connection's shard. Answers
// leave in the order of the requests whatever the order in which they are given. When the
// connection is gone all calls do nothing.
class ReplyPath {
 public:
  ReplyPath(std::weak_ptr<ReplySink> sink, RequestId request, const RequestHeader& header)
      : sink_(std::move(sink)),
        request_(request),
        api_(header.api),
        version_(header.version),
        correlation_id_(header.correlation_id) {}

  // Without release() the connection's next request waits until this one is answered.
  void release() {
    if (const auto sink = sink_.lock()) sink->on_release(request_);
  }
  // Runs `task` if the connection goes before the answer: for whoever waits on something.
  void on_cancel(Task task) {
    if (const auto sink = sink_.lock()) sink->on_cancel(request_, std::move(task));
  }
  void send_nothing() { send_frame({}); }
  void refuse(Refusal refusal, std::string_view text) {
    if (const auto sink = sink_.lock()) sink->on_refuse(refusal, text);
  }

  [[nodiscard]] const Api& api() const { return *api_; }
  [[nodiscard]] std::int16_t version() const { return version_; }
  [[nodiscard]] std::int32_t correlation_id() const { return correlation_id_; }

 protected:
  void send_frame(Frame frame) {
    if (const auto sink = sink_.lock()) sink->on_answer(request_, std::move(frame));
  }

 private:
  std::weak_ptr<ReplySink> sink_;
  RequestId request_;
  const Api* api_;
  std::int16_t version_;
  std::int32_t correlation_id_;
};

template <class Response>
class Reply : public ReplyPath {
 public:
  explicit Reply(ReplyPath path) : ReplyPath(std::move(path)) {}

  void send(Response response) {
    send_frame(encode_response(api(), version(), correlation_id(), response));
  }
  // In the layout of another version than that of the request: for ApiVersions alone.
  void send_as(std::int16_t version, Response response) {
    send_frame(encode_response(api(), version, correlation_id(), response));
  }
};

// The answer to a token that came as a bare frame (SaslHandshake version 0).
class BareReply : public ReplyPath {
 public:
  explicit BareReply(ReplyPath path) : ReplyPath(std::move(path)) {}

  void send(std::string_view token) {
    Frame frame;
    Writer writer(frame.bytes);
    writer.write<std::int32_t>(static_cast<std::int32_t>(token.size()));
    writer.write_bytes(as_bytes(token));
    send_frame(std::move(frame));
  }
};

// A response of several parts that become ready one by one: sent when end() has been called for
// each begin(), and once more for the one who made it.
template <class Response>
class GatheredReply {
 public:
  explicit GatheredReply(Reply<Response> reply) : reply_(std::move(reply)) {}
  void begin() { ++open_; }
  void end() {
    if (--open_ == 0) reply_.send(std::move(response));
  }

  Response response;

 private:
  Reply<Response> reply_;
  std::size_t open_ = 1;
};

}  // namespace sluice::kafka
