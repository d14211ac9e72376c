#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/byte_stream.h"
#include "net/tls_context.h"

struct bio_st;
struct x509_store_ctx_st;

namespace sluice::net {

// Buffers that the TLS streams of a shard share, each for the length of a call.
struct TlsScratch {
  Buffer plain;      // pieces gathered into one record
  Buffer encrypted;  // what OpenSSL wants sent
};

// The server's end of TLS on another stream, by OpenSSL.
//
// OpenSSL reads from the stream below as it needs to, through a BIO of our own, and what it writes
// is gathered and sent once per call. What is below not taken at once is kept; then no more
// plaintext is taken until it is gone. An idle connection has no buffers.
class TlsStream final : public ByteStream {
 public:
  static constexpr std::size_t record_max = 16 << 10;    // bytes of plaintext
  static constexpr std::size_t gathered_max = 64 << 10;  // bytes encrypted before they are sent

  TlsStream(std::shared_ptr<const TlsContext> context, TlsScratch& scratch, ByteStream& below);
  ~TlsStream() override;
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  runtime::Transfer receive(MutableBytes into) override;
  runtime::Transfer send(std::span<const Bytes> pieces) override;
  [[nodiscard]] bool has_more() const override { return ended_ || has_more_; }
  [[nodiscard]] bool open() const override { return established_ && !ended_; }
  [[nodiscard]] bool has_unsent() const override { return !unsent_.empty(); }
  void flush() override;
  void finish() override;
  [[nodiscard]] const Failure& failure() const override { return failure_; }

  // The handshake is done.
  [[nodiscard]] bool established() const { return established_; }
  [[nodiscard]] bool resumed() const;
  [[nodiscard]] std::string_view version() const;  // "TLSv1.3"
  // Common name of the client's verified certificate; empty without one.
  [[nodiscard]] std::string certificate_name() const;

 private:
  friend struct TlsBio;
  struct SslDeleter {
    void operator()(ssl_st* session) const;
  };

  bool shake_hands();
  std::size_t read_records(MutableBytes into);
  std::size_t write_record(Bytes plain);
  void on_trouble(int result);
  void end_with(Failure::Kind kind, std::string text);
  static int on_verify(int ok, x509_store_ctx_st* store);

  std::shared_ptr<const TlsContext> context_;
  TlsScratch& scratch_;
  ByteStream& below_;
  std::unique_ptr<ssl_st, SslDeleter> session_;
  Buffer unsent_;  // encrypted; at most `gathered_max` and a little
  Failure failure_;
  std::string certificate_error_;  // of the handshake under way
  bool established_ = false;
  bool has_more_ = false;  // the last receive() ended because its buffer was full
  bool drained_ = false;   // in this call, what is below had less than was asked for
  bool below_closed_ = false;
  bool ended_ = false;
};

}  // namespace sluice::net
