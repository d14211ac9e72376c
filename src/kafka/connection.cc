#include "kafka/connection.h"

#include <algorithm>

#include "net/foreign.h"

namespace sluice::kafka {

Connection::Connection(ConnectionHost& host, net::Channel channel)
    : host_(host),
      channel_(std::move(channel)),
      authentication_(std::make_shared<Authentication>(
          host.services().loop, host.services().access,
          runtime::to_string(host.services().loop.peer_endpoint(channel_.socket())))),
      advertised_(host.advertised(channel_)),
      last_active_(host.services().loop.now()) {}

void Connection::start() { channel_.attach(loop(), *this); }

bool Connection::may_start() const {
  const bool held = !pending_.empty() && !pending_.back().released && !pending_.back().answered;
  return open_ && !held && pending_.size() < pipeline_max && outbox_.size() < unsent_max;
}

// --- input ---

void Connection::on_readable() {
  const auto self = shared_from_this();
  resume();  // what came before goes first
  if (open_ && input_.empty()) {
    read_frames();
  } else if (may_start()) {
    read_rest_of_frame();
  }
  if (open_) update_interest();
}

void Connection::read_frames() {
  const MutableBytes buffer = host_.read_buffer();
  const auto got = channel_.receive(loop(), buffer);
  if (got.state == runtime::Transfer::State::closed) return close();
  if (got.bytes == 0) return;
  host_.traffic().received(got.bytes);
  last_active_ = loop().now();
  const Bytes rest = run_requests(buffer.first(got.bytes));
  if (open_) keep(rest);
}

// `input_` is the beginning of one frame, whose size run_requests() has found to be within the
// limit.
void Connection::read_rest_of_frame() {
  const std::size_t have = input_.size();
  std::size_t whole = frame_size_bytes;
  if (have >= frame_size_bytes)
    whole += static_cast<std::size_t>(load_be<std::int32_t>(input_.data()));
  input_.reserve(whole);
  input_.resize(std::min(whole, have + host_.read_buffer().size()));
  const auto got = channel_.receive(loop(), MutableBytes(input_).subspan(have));
  input_.resize(have + got.bytes);
  if (got.state == runtime::Transfer::State::closed) return close();
  host_.traffic().received(got.bytes);
  last_active_ = loop().now();
  resume();
}

// Handles whole requests from the front of `in` as long as they may start; returns what is left.
Bytes Connection::run_requests(Bytes in) {
  running_ = true;
  while (may_start()) {
    const auto frame = next_frame(in, request_max());
    if (!frame) {
      const bool too_large = frame.error().code == Errc::too_large;
      const std::string_view spoken = net::foreign_protocol(in);
      on_refuse(too_large ? Refusal::frame_too_large : Refusal::bad_frame,
                spoken.empty() ? frame.error().text
                               : fmt::format("{} came to a listener of Kafka", spoken));
      break;
    }
    if (!*frame) break;
    in = in.subspan(frame_size_bytes + (*frame)->size());
    run_request(**frame);
  }
  running_ = false;
  return in;
}

// `rest` may lie in `input_`.
void Connection::keep(Bytes rest) {
  if (rest.empty()) {
    input_ = {};
    return;
  }
  Buffer kept;
  append(kept, rest);
  input_ = std::move(kept);
}

void Connection::resume() {
  if (running_ || !open_ || input_.empty()) return;
  const Bytes rest = run_requests(input_);
  if (open_ && rest.size() < input_.size()) keep(rest);
}

// What held the input is gone. In a turn of its own, since the news may come from within the
// stream.
void Connection::resume_later() {
  if (running_ || !open_ || input_.empty() || !may_start() || std::exchange(resume_posted_, true))
    return;
  loop().post([self = shared_from_this()] {
    self->resume_posted_ = false;
    self->resume();
    if (self->open_) self->update_interest();
  });
}

void Connection::update_interest() {
  // While a request holds the connection, one more read is taken: it tells when the peer goes.
  const runtime::Interest wanted{
      .read = may_start() || (input_.empty() && outbox_.size() < unsent_max),
      .write = !outbox_.empty()};
  if (wanted == interest_) return;
  interest_ = wanted;
  channel_.watch(loop(), wanted);
}

// --- requests ---

std::size_t Connection::request_max() {
  const std::size_t max = host_.services().options.request_max;
  const bool stranger = !authentication_->admitted() && host_.services().access.login_required();
  return stranger ? std::min(max, stranger_request_max) : max;
}

void Connection::run_request(Bytes frame) {
  if (authentication_->expects_bare_token()) return run_bare_token(frame);
  const auto request = decode_request(frame);
  if (!request) return on_refuse(Refusal::bad_frame, request.error().text);
  if (!request->header.supported()) return refuse_unsupported(request->header);
  dispatch_request(*request);
}

void Connection::run_bare_token(Bytes token) {
  static const RequestHeader header{.api = find_api(ApiKey::sasl_authenticate)};
  authentication_->on_token(as_text(token), [reply = BareReply(add_pending(header))](
                                                const Result<std::string>& answer) mutable {
    answer ? reply.send(*answer) : reply.refuse(Refusal::login_failed, answer.error().text);
  });
}

void Connection::dispatch_request(const Request& request) {
  host_.traffic().requested(*request.header.api);
  if (authentication_->must_admit(request.header.api->key)) {
    const auto admitted =
        authentication_->admit(request.header.client_id, channel_.certificate_name());
    if (!admitted) {
      return on_refuse(
          Refusal::unauthorized,
          fmt::format("{} before a login: {}", request.header.api->name, admitted.error().text));
    }
  }
  Call call{.services = host_.services(),
            .principal = authentication_->principal(),
            .authentication = *authentication_,
            .advertised = advertised_,
            .client_id = request.header.client_id,
            .socket = channel_.socket()};
  const auto dispatched = dispatch(call, request, add_pending(request.header));
  if (!dispatched) {
    on_refuse(Refusal::malformed_request,
              fmt::format("{} version {}: {}", request.header.api->name, request.header.version,
                          dispatched.error().text));
  }
}

void Connection::refuse_unsupported(const RequestHeader& header) {
  host_.traffic().not_offered(header.key);
  if (header.api == nullptr) {
    return on_refuse(Refusal::unknown_api,
                     fmt::format("request with the unknown API key {}", header.key));
  }
  if (header.api->key == ApiKey::api_versions) {
    return refuse_api_version(Reply<ApiVersionsResponse>(add_pending(header)));
  }
  on_refuse(Refusal::unsupported_version,
            fmt::format("{} version {} is not offered", header.api->name, header.version));
}

ReplyPath Connection::add_pending(const RequestHeader& header) {
  const RequestId id{first_pending_ + pending_.size()};
  pending_.emplace_back();
  return {weak_from_this(), id, header};
}

Connection::Pending* Connection::find(RequestId request) {
  const auto index = static_cast<std::uint64_t>(request) - first_pending_;
  return index < pending_.size() && !pending_[index].answered ? &pending_[index] : nullptr;
}

void Connection::on_answer(RequestId request, Frame frame) {
  Pending* pending = find(request);
  if (!open_ || pending == nullptr) return;
  pending->answered = true;
  pending->answer = std::move(frame);
  pending->cancel = {};
  std::size_t ready = 0;
  while (ready < pending_.size() && pending_[ready].answered)
    outbox_.push(std::move(pending_[ready++].answer));
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(ready));
  first_pending_ += ready;
  if (ready > 0) host_.flush_later(shared_from_this());
  resume_later();
}

void Connection::on_release(RequestId request) {
  Pending* pending = find(request);
  if (!open_ || pending == nullptr) return;
  pending->released = true;
  resume_later();
}

void Connection::on_cancel(RequestId request, Task task) {
  if (Pending* pending = find(request)) pending->cancel = std::move(task);
}

// --- output and end ---

void Connection::flush() {
  if (!open_) return;
  const auto flushed = outbox_.flush(loop(), channel_);
  if (flushed.closed) return close();
  if (flushed.bytes > 0) last_active_ = loop().now();
  host_.traffic().sent(flushed.bytes);
  resume_later();
  update_interest();
}

void Connection::on_writable() {
  const auto self = shared_from_this();
  flush();
}

void Connection::on_refuse(Refusal refusal, std::string_view text) {
  if (!open_) return;
  host_.traffic().refused(refusal, loop().peer_endpoint(channel_.socket()), text);
  // What was answered before may say why; it goes as far as the socket takes it.
  if (!outbox_.empty()) host_.traffic().sent(outbox_.flush(loop(), channel_).bytes);
  close();
}

void Connection::close() {
  if (!std::exchange(open_, false)) return;
  const auto self = shared_from_this();
  channel_.close(loop());
  for (auto& pending : std::exchange(pending_, {})) {
    if (pending.cancel) pending.cancel();
  }
  host_.on_closed(*this);
}

}  // namespace sluice::kafka
