#pragma once

#include <memory>

#include "net/byte_stream.h"
#include "net/frame.h"
#include "net/upgrade.h"

namespace sluice::net {

// The server's end of a WebSocket (RFC 6455) that carries MQTT: the HTTP upgrade, then binary
// messages as one stream of bytes.
//
// Input is decoded in the caller's buffer. Output: what a send() is given becomes frames of at most
// `frame_max` bytes without being copied; a frame whose header is out must be filled by the next
// send(). Only headers, pongs, the answer to the upgrade and a close frame lie in a buffer.
class WebSocketStream final : public ByteStream {
 public:
  static constexpr std::uint64_t client_frame_max = 256 << 20;
  static constexpr std::size_t frame_max = 64 << 10;

  // `origins` must live until the upgrade is answered.
  WebSocketStream(ByteStream& below, const AllowedOrigins& origins);

  runtime::Transfer receive(MutableBytes into) override;
  runtime::Transfer send(std::span<const Bytes> pieces) override;
  [[nodiscard]] bool has_more() const override { return ended_ || below_.has_more(); }
  [[nodiscard]] bool open() const override { return !request_ && !ended_; }
  [[nodiscard]] bool has_unsent() const override {
    return !control_.empty() || below_.has_unsent();
  }
  void flush() override;
  void finish() override;
  [[nodiscard]] const Failure& failure() const override { return failure_; }

 private:
  std::size_t take_request(Bytes in);
  void look_for_end();
  void flush_control();
  void end(CloseCode code, std::string_view reason);
  runtime::Transfer send_frame(std::span<const Bytes> pieces);

  ByteStream& below_;
  std::unique_ptr<UpgradeRequest> request_;  // until it is answered
  FrameDecoder decoder_{client_frame_max};
  Buffer control_;                // to be sent before any payload: control frames, then a header
  std::size_t payload_left_ = 0;  // of the frame whose header is out or in control_
  Failure failure_;
  bool ended_ = false;       // nothing more is received, and no payload sent
  bool close_sent_ = false;  // or there is to be none
};

}  // namespace sluice::net
