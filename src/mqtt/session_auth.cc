// Enhanced authentication (MQTT 5, 4.12): SASL mechanisms as authentication methods, in CONNECT and
// again on a connection that stands.

#include <algorithm>

#include "access/sasl.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/property.h"
#include "mqtt/session.h"
#include "mqtt/session_state.h"

namespace sluice::mqtt {

namespace {

struct AuthenticationFields {
  std::optional<std::string_view> method{};
  std::optional<Bytes> data{};
};

AuthenticationFields authentication_fields(PropertyBlock properties) {
  AuthenticationFields fields;
  for_each_property(properties, [&](const Property& property) {
    if (property.id == PropertyId::authentication_method) fields.method = property.text;
    if (property.id == PropertyId::authentication_data) fields.data = property.data;
  });
  return fields;
}

Refusal refusal_of(const Error& error) {
  if (error.code == Errc::busy) return {Reason::server_busy, "too many logins are waiting"};
  if (error.code == Errc::unsupported)
    return {Reason::bad_authentication_method, "there are no users that could log in"};
  return {Reason::not_authorized, "the authentication was refused"};
}

}  // namespace

Decoded<bool> Session::begin_authentication(const Connect& connect) {
  const auto [method, data] = authentication_fields(connect.properties);
  if (!method) return false;
  if (std::ranges::find(access::sasl_mechanisms, *method) == access::sasl_mechanisms.end())
    return refusal(Reason::bad_authentication_method,
                   "the authentication methods are SCRAM-SHA-512, SCRAM-SHA-256 and PLAIN");
  authentication_ = std::make_unique<Authentication>(std::string(*method));
  state_ = State::authenticating;
  start_exchange(data);
  return true;
}

// Without data it is the client's turn once more: with all methods it speaks first.
void Session::start_exchange(std::optional<Bytes> data) {
  authentication_->exchange = host_.start_exchange(authentication_->method);
  if (data) return step(*data);
  send_auth(Reason::continue_authentication, {});
}

void Session::step(Bytes data) {
  waits_ |= wait_login;
  host_.step(*authentication_->exchange, as_text(data));
}

void Session::on_authenticated(Result<access::SaslServer::Answer> answer) {
  if (state_ == State::ended) return;
  waits_ &= static_cast<std::uint8_t>(~wait_login);
  if (!answer) return refuse_authentication(refusal_of(answer.error()));
  if (!answer->principal) return send_auth(Reason::continue_authentication, answer->token);
  authentication_->exchange.reset();
  if (state_ == State::authenticating) {
    authentication_->last_token = std::move(answer->token);
    state_ = State::logging_in;
    return on_logged_in(std::move(*answer->principal));
  }
  // What has been subscribed to was permitted to the user who was there.
  if (answer->principal->name != principal_.name)
    return refuse_authentication(
        {Reason::not_authorized, "the authentication was for another user"});
  answer->principal->client_id = client_id();
  principal_ = std::move(*answer->principal);
  send_auth(Reason::success, answer->token);
}

void Session::refuse_authentication(const Refusal& why) {
  if (state_ == State::connected) return refuse(why);
  refuse_connect(version_, why);
}

// Before CONNACK a client that authenticates sends nothing else ([MQTT-3.1.2-30]).
void Session::on_packet_while_authenticating(const Frame& frame) {
  if (frame.type == PacketType::disconnect) return end(Reason::success, "DISCONNECT");
  if (frame.type != PacketType::auth)
    return refuse_authentication(
        {Reason::protocol_error, "a packet other than AUTH before CONNACK"});
  on_auth(frame);
}

void Session::on_auth(const Frame& frame) {
  const auto packet = decode_auth(frame.body, version_);
  if (!packet) return refuse_authentication(packet.error());
  if (auto taken = take_auth(*packet); !taken) refuse_authentication(taken.error());
}

Decoded<void> Session::take_auth(const Auth& packet) {
  if (!authentication_)
    return refusal(Reason::protocol_error, "AUTH, but CONNECT named no authentication method");
  const auto [method, data] = authentication_fields(packet.properties);
  if (method != authentication_->method)  // [MQTT-4.12.0-5], [MQTT-4.12.1-1]
    return refusal(Reason::protocol_error, "AUTH does not name the method of CONNECT");
  const bool under_way = authentication_->exchange != nullptr;
  const auto reason = static_cast<Reason>(packet.code);
  if (reason == Reason::continue_authentication && under_way) {
    step(data.value_or(Bytes{}));
  } else if (reason == Reason::reauthenticate && !under_way) {
    start_exchange(data);
  } else {
    return refusal(Reason::protocol_error, "the reason code of AUTH does not fit here");
  }
  return {};
}

void Session::send_auth(Reason reason, std::string_view data) {
  Buffer& properties = context_.delivery.encoded;
  properties.clear();
  PropertyWriter writer(properties);
  writer.text(PropertyId::authentication_method, authentication_->method);
  if (!data.empty()) writer.data(PropertyId::authentication_data, as_bytes(data));
  encode_auth(answer(), version_,
              {.code = static_cast<std::uint8_t>(reason), .properties = {properties}});
}

}  // namespace sluice::mqtt
