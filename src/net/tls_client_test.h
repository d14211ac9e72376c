#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <utility>

#include "net/certificates_test.h"
#include "net/openssl.h"
#include "sim/world.h"

namespace sluice::net {

// A client by OpenSSL on memory BIOs, whose bytes go over the simulated network.
class TlsClient {
 public:
  struct Options {
    int version = TLS1_3_VERSION;
    std::string server_name{};
    const Credentials* certificate = nullptr;
    SSL_SESSION* session = nullptr;
  };
  using SessionPtr = std::unique_ptr<SSL_SESSION, Releaser<SSL_SESSION_free>>;

  TlsClient(sim::SimWorld& world, const runtime::Endpoint& server, Options options)
      : world_(world),
        wire_(std::move(world.connect(server).value())),
        context_(SSL_CTX_new(TLS_client_method())),
        ssl_(SSL_new(context_.get())) {
    SSL* const ssl = ssl_.get();
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_security_level(ssl, 0);  // it may ask for what is refused
    SSL_set_min_proto_version(ssl, options.version);
    SSL_set_max_proto_version(ssl, options.version);
    if (!options.server_name.empty()) set_server_name(options.server_name);
    if (options.certificate) use_certificate(*options.certificate);
    if (options.session) SSL_set_session(ssl, options.session);
    SSL_set_connect_state(ssl);
  }

  // False: it was refused or closed.
  bool connect() {
    world_.run_until([this] {
      pump();
      return SSL_is_init_finished(ssl_.get()) || ended();
    });
    return SSL_is_init_finished(ssl_.get());
  }
  void send(std::string_view text) {
    unsent_ += text;
    pump();
  }
  // Waits until `count` bytes have arrived, or the end.
  std::string receive(std::size_t count) {
    world_.run_until([&] {
      pump();
      return received_.size() >= count || ended();
    });
    return std::exchange(received_, {});
  }
  // Waits for the end; true when the server said that it is the end.
  bool ends_cleanly() {
    world_.run_until([this] {
      pump();
      return ended();
    });
    return SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN;
  }

  // Moves bytes as far as they go now.
  void pump() {
    take_from_wire();
    if (!SSL_is_init_finished(ssl_.get())) step(SSL_do_handshake(ssl_.get()));
    if (SSL_is_init_finished(ssl_.get())) {
      write();
      read();
    }
    give_to_wire();
  }

  [[nodiscard]] bool ended() const {
    return failed_ || (wire_->ended() && wire_->received().empty());
  }
  [[nodiscard]] bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  [[nodiscard]] std::string server_certificate() const {
    return common_name(SSL_get0_peer_certificate(ssl_.get()));
  }
  [[nodiscard]] SessionPtr session() const { return SessionPtr(SSL_get1_session(ssl_.get())); }
  sim::SimClient& wire() { return *wire_; }

 private:
  void use_certificate(const Credentials& credentials) {
    const auto reader = [](const PemFile& file) {
      return BioPtr(BIO_new_mem_buf(file.content.data(), static_cast<int>(file.content.size())));
    };
    const CertificatePtr certificate(
        PEM_read_bio_X509(reader(credentials.certificate).get(), nullptr, nullptr, nullptr));
    const KeyPtr key(
        PEM_read_bio_PrivateKey(reader(credentials.key).get(), nullptr, nullptr, nullptr));
    SSL_use_certificate(ssl_.get(), certificate.get());
    SSL_use_PrivateKey(ssl_.get(), key.get());
  }
  // The macro for this has a cast of the old style.
  void set_server_name(std::string name) {
    SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
  }
  void take_from_wire() {
    const Bytes arrived = wire_->received();
    if (arrived.empty()) return;
    BIO_write(SSL_get_rbio(ssl_.get()), arrived.data(), static_cast<int>(arrived.size()));
    wire_->take(arrived.size());
  }
  void give_to_wire() {
    char* data = nullptr;
    BIO* out = SSL_get_wbio(ssl_.get());
    const long size = BIO_get_mem_data(out, &data);
    if (size <= 0) return;
    wire_->send(as_bytes(std::string_view(data, static_cast<std::size_t>(size))));
    BIO_reset(out);
  }
  void write() {
    while (!unsent_.empty() && !failed_) {
      const int count = SSL_write(ssl_.get(), unsent_.data(), static_cast<int>(unsent_.size()));
      if (count <= 0) return step(count);
      unsent_.erase(0, static_cast<std::size_t>(count));
    }
  }
  void read() {
    char chunk[4096];
    while (!failed_) {
      const int count = SSL_read(ssl_.get(), chunk, sizeof chunk);
      if (count <= 0) return step(count);
      received_.append(chunk, static_cast<std::size_t>(count));
    }
  }
  void step(int result) {
    if (result > 0) return;
    const int error = SSL_get_error(ssl_.get(), result);
    failed_ |= error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
  }

  sim::SimWorld& world_;
  std::unique_ptr<sim::SimClient> wire_;
  std::unique_ptr<SSL_CTX, Releaser<SSL_CTX_free>> context_;
  SslPtr ssl_;
  std::string unsent_;
  std::string received_;
  bool failed_ = false;
};

}  // namespace sluice::net
