#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "base/assert.h"
#include "net/openssl.h"

namespace sluice::net {

namespace {

using runtime::Transfer;

// What a peer may make us answer (alerts, key updates) without reading it; far more than it needs.
constexpr std::size_t answers_max = 64 << 10;
constexpr std::size_t name_shown_max = 64;

// Cuts pieces into records. A piece that fills a record is taken from where it lies, small ones are
// gathered.
class RecordCutter {
 public:
  explicit RecordCutter(std::span<const Bytes> pieces) : pieces_(pieces) { skip_empty(); }

  [[nodiscard]] bool empty() const { return pieces_.empty(); }

  Bytes next(Buffer& gathered) {
    const Bytes rest = pieces_.front().subspan(offset_);
    if (rest.size() >= TlsStream::record_max || pieces_.size() == 1)
      return take(TlsStream::record_max);
    gathered.clear();
    while (!empty() && gathered.size() < TlsStream::record_max)
      append(gathered, take(TlsStream::record_max - gathered.size()));
    return gathered;
  }

 private:
  Bytes take(std::size_t size_max) {
    const Bytes rest = pieces_.front().subspan(offset_);
    const Bytes taken = rest.first(std::min(rest.size(), size_max));
    offset_ += taken.size();
    skip_empty();
    return taken;
  }
  void skip_empty() {
    while (!pieces_.empty() && offset_ == pieces_.front().size()) {
      pieces_ = pieces_.subspan(1);
      offset_ = 0;
    }
  }

  std::span<const Bytes> pieces_;
  std::size_t offset_ = 0;  // in the first of them
};

}  // namespace

// The BIO through which OpenSSL reaches the stream below.
struct TlsBio {
  static TlsStream& stream_of(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* into, int size) {
    TlsStream& stream = stream_of(bio);
    BIO_clear_retry_flags(bio);
    if (!stream.drained_ && !stream.below_closed_) {
      const MutableBytes room(reinterpret_cast<std::byte*>(into), static_cast<std::size_t>(size));
      const Transfer got = stream.below_.receive(room);
      // The rest comes with the next event: asking the socket again would cost a call in vain.
      stream.drained_ = got.bytes < room.size() && !stream.below_.has_more();
      stream.below_closed_ = got.state == Transfer::State::closed;
      if (got.bytes > 0) return static_cast<int>(got.bytes);
    }
    if (stream.below_closed_) return 0;
    BIO_set_retry_read(bio);
    return -1;
  }

  static int write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    append(stream_of(bio).scratch_.encrypted,
           as_bytes(std::string_view(from, static_cast<std::size_t>(size))));
    return size;
  }

  static long control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
    if (command == BIO_CTRL_EOF) return stream_of(bio).below_closed_ ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "byte stream");
      SLUICE_ASSERT(method != nullptr);
      BIO_meth_set_read(method, read);
      BIO_meth_set_write(method, write);
      BIO_meth_set_ctrl(method, control);
      return method;
    }();
    return made;
  }
};

void TlsStream::SslDeleter::operator()(ssl_st* session) const { SSL_free(session); }

TlsStream::TlsStream(std::shared_ptr<const TlsContext> context, TlsScratch& scratch,
                     ByteStream& below)
    : context_(std::move(context)),
      scratch_(scratch),
      below_(below),
      session_(context_->new_session()) {
  BIO* bio = BIO_new(TlsBio::method());
  SLUICE_ASSERT(session_ && bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(session_.get(), bio, bio);
  SSL_set_app_data(session_.get(), this);
  SSL_set_verify(session_.get(), SSL_get_verify_mode(session_.get()), &TlsStream::on_verify);
  SSL_set_accept_state(session_.get());
}

TlsStream::~TlsStream() = default;

Transfer TlsStream::receive(MutableBytes into) {
  if (ended_) return {Transfer::State::closed, 0};
  drained_ = has_more_ = false;
  const std::size_t got = established_ || shake_hands() ? read_records(into) : 0;
  flush();
  if (unsent_.size() > gathered_max + answers_max)
    end_with(Failure::Kind::tls, "the client makes answers necessary and does not read them");
  if (got > 0) return {Transfer::State::ok, got};
  return {ended_ ? Transfer::State::closed : Transfer::State::would_block, 0};
}

bool TlsStream::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(session_.get());
  established_ = result == 1;
  if (!established_) on_trouble(result);
  return established_;
}

std::size_t TlsStream::read_records(MutableBytes into) {
  std::size_t got = 0;
  while (got < into.size()) {
    std::size_t count = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(session_.get(), into.data() + got, into.size() - got, &count);
    if (result != 1) {
      on_trouble(result);
      return got;
    }
    got += count;
  }
  has_more_ = true;
  return got;
}

Transfer TlsStream::send(std::span<const Bytes> pieces) {
  if (ended_) return {Transfer::State::closed, 0};
  flush();
  std::size_t taken = 0;
  RecordCutter cutter(pieces);
  while (established_ && !ended_ && !has_unsent() && !cutter.empty()) {
    while (!cutter.empty() && !ended_ && scratch_.encrypted.size() < gathered_max)
      taken += write_record(cutter.next(scratch_.plain));
    flush();
  }
  if (ended_) return {Transfer::State::closed, 0};
  return {taken > 0 ? Transfer::State::ok : Transfer::State::would_block, taken};
}

std::size_t TlsStream::write_record(Bytes plain) {
  std::size_t written = 0;
  ERR_clear_error();
  const int result = SSL_write_ex(session_.get(), plain.data(), plain.size(), &written);
  if (result != 1) on_trouble(result);
  SLUICE_ASSERT(ended_ || written == plain.size());
  return written;
}

void TlsStream::flush() {
  Buffer& fresh = scratch_.encrypted;
  if (!unsent_.empty()) {
    append(unsent_, fresh);
    fresh.clear();
  }
  const Bytes all = unsent_.empty() ? fresh : unsent_;
  if (all.empty()) return;
  const Transfer sent = below_.send({&all, 1});
  if (sent.state == Transfer::State::closed) {
    below_closed_ = ended_ = true;
    unsent_ = {};
  } else if (unsent_.empty()) {
    append(unsent_, all.subspan(sent.bytes));
  } else if (sent.bytes == unsent_.size()) {
    unsent_ = {};
  } else {
    unsent_.erase_front(sent.bytes);
  }
  fresh.clear();
}

void TlsStream::finish() {
  if (open()) {
    ERR_clear_error();
    SSL_shutdown(session_.get());
  }
  flush();
}

bool TlsStream::resumed() const { return SSL_session_reused(session_.get()) == 1; }

std::string_view TlsStream::version() const { return SSL_get_version(session_.get()); }

std::string TlsStream::certificate_name() const {
  if (!established_ || SSL_get_verify_result(session_.get()) != X509_V_OK) return {};
  const X509* certificate = SSL_get0_peer_certificate(session_.get());
  return certificate ? common_name(const_cast<X509*>(certificate)) : std::string();
}

void TlsStream::on_trouble(int result) {
  const int error = SSL_get_error(session_.get(), result);
  if (error == SSL_ERROR_WANT_READ) return;
  if (error == SSL_ERROR_ZERO_RETURN) {
    ended_ = true;
    return;
  }
  const int reason = ERR_GET_REASON(ERR_peek_error());
  const std::string text = take_openssl_error();
  if (below_closed_) {
    ended_ = true;
  } else if (!certificate_error_.empty()) {
    end_with(Failure::Kind::client_certificate, certificate_error_);
  } else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    end_with(Failure::Kind::client_certificate, "the client has shown no certificate");
  } else if (reason > SSL_AD_REASON_OFFSET) {
    end_with(Failure::Kind::alert, "the client refused: " + text);
  } else {
    end_with(Failure::Kind::tls, text);
  }
}

void TlsStream::end_with(Failure::Kind kind, std::string text) {
  ended_ = true;
  failure_ = {kind, "tls: " + std::move(text)};
}

int TlsStream::on_verify(int ok, x509_store_ctx_st* store) {
  if (ok == 1) return ok;
  const auto* session =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509* certificate = X509_STORE_CTX_get_current_cert(store);
  static_cast<TlsStream*>(SSL_get_app_data(session))->certificate_error_ =
      fmt::format("{} (CN={})", X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)),
                  certificate ? common_name(certificate).substr(0, name_shown_max) : "");
  return ok;
}

}  // namespace sluice::net
