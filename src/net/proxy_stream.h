#pragma once

#include <optional>

#include "net/byte_stream.h"
#include "net/proxy_header.h"

namespace sluice::net {

// Takes the header of the PROXY protocol off another stream; from then on it is that stream.
class ProxyStream final : public ByteStream {
 public:
  explicit ProxyStream(ByteStream& below) : below_(below) {}

  runtime::Transfer receive(MutableBytes into) override;
  runtime::Transfer send(std::span<const Bytes> pieces) override;
  [[nodiscard]] bool has_more() const override {
    return open_ ? !buffered_.empty() || below_.has_more() : failed();
  }
  [[nodiscard]] bool open() const override { return open_; }
  [[nodiscard]] bool has_unsent() const override { return below_.has_unsent(); }
  void flush() override { below_.flush(); }
  void finish() override { below_.finish(); }
  [[nodiscard]] const Failure& failure() const override { return failure_; }

  // The client, once the header is there and if it names one.
  [[nodiscard]] const std::optional<runtime::Endpoint>& client() const { return client_; }

 private:
  runtime::Transfer receive_header();
  [[nodiscard]] bool failed() const { return failure_.kind != Failure::Kind::none; }

  ByteStream& below_;
  // The header as far as it is there, then what came behind it until that has been received. At
  // most proxy_header_max and one read.
  Buffer buffered_;
  std::optional<runtime::Endpoint> client_;
  Failure failure_;
  bool open_ = false;
};

}  // namespace sluice::net
