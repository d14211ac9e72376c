#include "server/api.h"

#include <gtest/gtest.h>

#include <optional>

namespace sluice::server {
namespace {

class ApiTest : public testing::Test {
 protected:
  ApiTest() {
    for (const char* method : {"GET", "DELETE"})
      api_.add({method, "/api/v1/things/{id}",
                [this](ApiCall call) { called_.emplace(std::move(call)); }});
  }
  // The answer, if it was not left to a route.
  std::optional<http::Response> call(const std::string& method, const std::string& path,
                                     const std::string& query = "") {
    std::optional<http::Response> answer;
    http::Request request;
    request.method = method;
    request.path = path;
    request.query = query;
    called_.reset();
    api_.on_request(request, "ann", [&](http::Response response) { answer = std::move(response); });
    return answer;
  }

  bool is_serving_ = true;
  Api api_{[this] { return is_serving_; }};
  std::optional<ApiCall> called_;
};

TEST_F(ApiTest, ARouteGetsTheDecodedPartsOfTheRequest) {
  EXPECT_FALSE(call("GET", "/api/v1/things/a%2Fb", "x=1%262"));
  ASSERT_TRUE(called_);
  EXPECT_EQ(called_->parameters, std::vector<std::string>{"a/b"});
  EXPECT_EQ(called_->query.at("x"), "1&2");
  EXPECT_EQ(called_->user, "ann");
}

TEST_F(ApiTest, WhatIsNotThereIsAnsweredWithItsName) {
  const auto missing = call("GET", "/api/v1/\"things\"");
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->status, 404);
  EXPECT_EQ(missing->content_type, "application/json");
  EXPECT_EQ(missing->body, "{\"error\":\"there is no /api/v1/\\\"things\\\"\"}\n");
}

TEST_F(ApiTest, AnotherMethodIsToldWhichThereAre) {
  const auto refused = call("POST", "/api/v1/things/x");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 405);
  EXPECT_EQ(refused->headers,
            (std::vector{std::pair<std::string, std::string>("Allow", "GET, DELETE")}));
}

TEST_F(ApiTest, BadEscapesAreRefused) {
  EXPECT_EQ(call("GET", "/api/v1/things/%f")->status, 400);
  EXPECT_EQ(call("GET", "/api/v1/things/x", "a=%ff")->status, 400);
  EXPECT_FALSE(called_);
}

TEST_F(ApiTest, NothingIsAnsweredBeforeTheHubServes) {
  is_serving_ = false;
  EXPECT_EQ(call("GET", "/api/v1/things/x")->status, 503);
  EXPECT_FALSE(called_);
}

TEST(Query, NumbersAndNamesAreChecked) {
  const http::Query query{{"limit", "5"}, {"seconds", "x"}};
  EXPECT_EQ(number_in(query, "limit", 1, 1, 10).value(), 5);
  EXPECT_EQ(number_in(query, "other", 1, 1, 10).value(), 1);
  EXPECT_EQ(number_in(query, "limit", 1, 6, 10).error().code, Errc::invalid);
  EXPECT_EQ(number_in(query, "seconds", 1, 1, 10).error().code, Errc::invalid);
  EXPECT_TRUE(check_names(query, {"limit", "seconds"}));
  EXPECT_NE(check_names(query, {"limit"}).error().text.find("'seconds'"), std::string::npos);
}

TEST(Query, SaysWhichPageIsWanted) {
  const auto page = page_in({{"limit", "5"}, {"after", "a"}, {"filter", "b"}}, 10).value();
  EXPECT_EQ(page.limit, 5u);
  EXPECT_EQ(page.after, "a");
  EXPECT_EQ(page.contains, "b");
  EXPECT_EQ(page_in({}, 1000).value().limit, 100u);
  EXPECT_EQ(page_in({{"limit", "11"}}, 10).error().code, Errc::invalid);
  EXPECT_NE(page_in({{"limt", "5"}}, 10).error().text.find("'limt'"), std::string::npos);
}

}  // namespace
}  // namespace sluice::server
