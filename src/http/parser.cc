// The one unit that knows Beast.

#include "http/parser.h"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace sluice::http {

namespace beast = boost::beast;

class Parser::Impl {
 public:
  explicit Impl(Limits limits) {
    parser_.eager(true);
    parser_.header_limit(static_cast<std::uint32_t>(limits.header_max));
    parser_.body_limit(limits.body_max);
  }

  std::size_t feed(Bytes bytes) {
    beast::error_code error;
    const std::size_t taken =
        parser_.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
    if (error == beast::http::error::header_limit)
      error_status = 431;
    else if (error == beast::http::error::body_limit)
      error_status = 413;
    else if (error && error != beast::http::error::need_more)
      error_status = 400;
    return taken;
  }

  [[nodiscard]] bool done() const { return parser_.is_done(); }

  Request take() {
    auto message = parser_.release();
    Request request;
    request.method = message.method_string();
    const std::string_view target(message.target().data(), message.target().size());
    const std::size_t question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string_view::npos) request.query = target.substr(question + 1);
    for (const auto& field : message)
      request.headers.emplace_back(field.name_string(), field.value());
    request.keep_alive = message.keep_alive();
    request.is_http_1_0 = message.version() < 11;
    request.body = std::move(message.body());
    return request;
  }

  int error_status = 0;

 private:
  beast::http::request_parser<beast::http::string_body> parser_;
};

Parser::Parser(Limits limits) : impl_(std::make_unique<Impl>(limits)), limits_(limits) {}
Parser::~Parser() = default;

std::size_t Parser::feed(Bytes bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && impl_->error_status == 0 && !impl_->done()) {
    const std::size_t more = impl_->feed(bytes.subspan(taken));
    if (more == 0) break;
    taken += more;
  }
  return taken;
}

std::optional<Request> Parser::take() {
  if (impl_->error_status != 0 || !impl_->done()) return std::nullopt;
  Request request = impl_->take();
  impl_ = std::make_unique<Impl>(limits_);
  return request;
}

int Parser::error_status() const { return impl_->error_status; }

}  // namespace sluice::http
