#include <gtest/gtest.h>

#include <string>

#include "http/parser.h"
#include "http/server.h"
#include "sim/world.h"

namespace sluice::http {
namespace {

TEST(Parser, TakesARequestByteByByte) {
  Parser parser({});
  const std::string text = "POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  Buffer left;
  std::optional<Request> request;
  for (const char c : text) {
    ASSERT_FALSE(request);
    left.push_back(static_cast<std::byte>(c));
    const std::size_t taken = parser.feed(left);
    left.erase_front(taken);
    request = parser.take();
  }
  ASSERT_TRUE(request);
  EXPECT_EQ(request->method, "POST");
  EXPECT_EQ(request->path, "/a/b");
  EXPECT_EQ(request->query, "c=d");
  EXPECT_EQ(request->body, "abc");
  EXPECT_EQ(request->headers.front(), std::pair(std::string("Host"), std::string("x")));
}

TEST(Parser, LeavesTheNextRequestAlone) {
  Parser parser({});
  const std::string first = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string both = first + "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::size_t taken = parser.feed(as_bytes(both));
  EXPECT_EQ(taken, first.size());
  EXPECT_EQ(parser.take()->path, "/1");
  parser.feed(as_bytes(std::string_view(both).substr(taken)));
  EXPECT_EQ(parser.take()->path, "/2");
}

int status_of(const std::string& text, Limits limits = {}) {
  Parser parser(limits);
  parser.feed(as_bytes(text));
  EXPECT_FALSE(parser.take());
  return parser.error_status();
}

TEST(Parser, RefusesWhatIsWrongOrTooLarge) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n"), 0) << "more may come";
  EXPECT_EQ(status_of("nonsense\r\n\r\n"), 400);
  EXPECT_EQ(status_of(std::string("\x10\x20MQTT\r\n\r\n", 10)), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n",
                      {.header_max = 1000, .body_max = 10}),
            431);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nX: " + std::string(2000, 'x'),
                      {.header_max = 1000, .body_max = 10}),
            431);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n",
                      {.header_max = 1000, .body_max = 10}),
            413);
}

// Writes what the test tells it to.
class TestStreamer final : public Streamer {
 public:
  explicit TestStreamer(bool& gone) : gone_(gone) {}
  ~TestStreamer() override { gone_ = true; }
  void on_open(Stream opened) override { stream = std::move(opened); }
  void on_room() override { ++rooms; }
  Stream stream;
  int rooms = 0;

 private:
  bool& gone_;
};

// Answers /now at once with the path, keeps the answer to /later, streams the answer to /stream.
class TestHandler final : public Handler {
 public:
  void on_request(const Request& request, Respond respond) override {
    ++requests;
    if (request.path == "/later") {
      later = std::move(respond);
      return;
    }
    Response response;
    if (request.path == "/stream") {
      auto made = std::make_shared<TestStreamer>(gone);
      streamer = made.get();
      response.streamer = std::move(made);
    }
    response.body = request.path;
    respond(std::move(response));
  }
  int requests = 0;
  Respond later;
  TestStreamer* streamer = nullptr;
  bool gone = false;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() : world_(1, 1), server_(world_.loop(0), handler_, metrics_, Options{}) {
    endpoint_ = *server_.listen({"127.0.0.1", 0});
    client_ = *world_.connect(endpoint_);
  }

  void send(std::string_view text) { client_->send(as_bytes(text)); }
  std::string received() {
    world_.run_until([this] { return client_->ended(); }, std::chrono::seconds(1));
    std::string text(as_text(client_->received()));
    client_->take(text.size());
    return text;
  }

  sim::SimWorld world_;
  Metrics metrics_;
  TestHandler handler_;
  Server server_;
  runtime::Endpoint endpoint_;
  std::unique_ptr<sim::SimClient> client_;
};

constexpr std::string_view head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n";

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  send("GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(received(), std::string(head) + "Content-Length: 4\r\n\r\n/now");
  EXPECT_FALSE(client_->ended());
  send("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(received(), std::string(head) + "Content-Length: 6\r\n\r\n/again");
}

TEST_F(ServerTest, ClosesWhenAskedTo) {
  send("GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(received(), std::string(head) + "Content-Length: 4\r\nConnection: close\r\n\r\n/now");
  EXPECT_TRUE(client_->ended());
}

TEST_F(ServerTest, AnswersHeadWithoutABody) {
  send("HEAD /now HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(received(), std::string(head) + "Content-Length: 4\r\n\r\n");
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrderOneAtATime) {
  send(
      "GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 "
      "HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(received(), "");
  EXPECT_EQ(handler_.requests, 1) << "the others wait";
  world_.loop(0).post([this] { handler_.later(Response{}); });
  const std::string text = received();
  EXPECT_EQ(handler_.requests, 3);
  EXPECT_LT(text.find("/2"), text.find("/3"));
}

TEST_F(ServerTest, AnAnswerToAConnectionThatIsGoneIsDropped) {
  send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  received();
  server_.stop();
  EXPECT_EQ(server_.connections(), 0u);
  handler_.later(Response{});
  EXPECT_EQ(received(), "");
}

TEST_F(ServerTest, RefusesNonsenseAndCloses) {
  send("nonsense\r\n\r\n");
  EXPECT_EQ(received().substr(0, 24), "HTTP/1.1 400 Bad Request");
  EXPECT_TRUE(client_->ended());
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(ServerTest, StreamsABodyInChunksUntilItEnds) {
  send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(received(),
            std::string(head) + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(handler_.streamer->stream.write("first\n"));
  EXPECT_EQ(received(), "6\r\nfirst\n\r\n");
  EXPECT_TRUE(handler_.streamer->stream.write("0123456789abcdef"));
  handler_.streamer->stream.end();
  EXPECT_FALSE(handler_.streamer->stream.write("late"));
  EXPECT_EQ(received(), "10\r\n0123456789abcdef\r\n0\r\n\r\n");
  EXPECT_TRUE(client_->ended());
  EXPECT_TRUE(handler_.gone);
  EXPECT_EQ(handler_.requests, 1) << "what follows a stream is not answered";
}

TEST_F(ServerTest, StreamsToHttp10UntilTheConnectionEnds) {
  send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_EQ(received(), std::string(head) + "Connection: close\r\n\r\n");
  handler_.streamer->stream.write("bare");
  handler_.streamer->stream.end();
  EXPECT_EQ(received(), "bare");
  EXPECT_TRUE(client_->ended());
}

TEST_F(ServerTest, AStreamIsGoneWithItsClientAndNotForItsSilence) {
  send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  received();
  world_.run_for(Options{}.idle_timeout * 5);
  EXPECT_FALSE(handler_.gone);
  client_->close();
  EXPECT_TRUE(world_.run_until([this] { return handler_.gone; }));
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(ServerTest, AStreamTakesABoundedNumberOfBytesAndTellsWhenThereIsRoom) {
  send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  received();
  client_->pause_reading();
  const std::string piece(32 << 10, 'x');
  std::size_t pieces = 0;
  for (int i = 0; i < 1000; ++i) {
    pieces += handler_.streamer->stream.write(piece) ? 1u : 0u;
    world_.run_for(std::chrono::milliseconds(1));
  }
  EXPECT_LT(pieces, 100u);
  EXPECT_EQ(handler_.streamer->rooms, 0);
  client_->resume_reading();
  EXPECT_TRUE(world_.run_until([this] { return handler_.streamer->rooms == 1; }));
  EXPECT_TRUE(handler_.streamer->stream.write(piece));
}

TEST_F(ServerTest, AStreamThatEndsHasRoomForItsLastWordsAndWaitsForItsClientNotForEver) {
  const std::string piece(32 << 10, 'x');
  for (const bool reads_again : {true, false}) {
    client_ = *world_.connect(endpoint_);
    handler_.gone = false;
    send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    received();
    client_->pause_reading();
    while (handler_.streamer->stream.write(piece)) world_.run_for(std::chrono::milliseconds(1));
    handler_.streamer->stream.end("the end");
    if (reads_again) client_->resume_reading();
    EXPECT_TRUE(world_.run_until([this] { return handler_.gone; }, Options{}.idle_timeout * 3));
    if (reads_again) {
      EXPECT_TRUE(received().ends_with("7\r\nthe end\r\n0\r\n\r\n"));
    }
  }
  EXPECT_EQ(server_.connections(), 0u);
}

TEST_F(ServerTest, ClosesAConnectionThatIsSilent) {
  EXPECT_TRUE(world_.run_until([this] { return client_->ended(); }, Options{}.idle_timeout * 3));
  EXPECT_EQ(server_.connections(), 0u);
}

}  // namespace
}  // namespace sluice::http
