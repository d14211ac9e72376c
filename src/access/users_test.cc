#include "access/users.h"

#include <gtest/gtest.h>

#include "access/sasl.h"
#include "sim/world.h"

namespace sluice::access {
namespace {

constexpr std::string_view salt = "0123456789abcdef";

User user(std::string name, std::string_view password, const std::vector<std::string>& rules) {
  User out{.name = std::move(name)};
  for (const Digest digest : {Digest::sha256, Digest::sha512})
    if (!password.empty())
      out.credentials.push_back(make_credential(digest, password, salt, iterations_min));
  std::vector<Rule> parsed;
  for (const auto& rule : rules) parsed.push_back(*parse_rule(rule));
  out.rules = Rules(std::move(parsed));
  return out;
}

std::shared_ptr<const UserTable> table(const std::vector<User>& users) {
  UserTable out;
  for (const auto& one : users) out.put(one);
  return std::make_shared<const UserTable>(std::move(out));
}

const std::vector<User> ann_and_device{user("ann", "secret", {"allow all"}),
                                       user("device", "", {"allow publish d/%c"})};

class UsersTest : public testing::Test {
 protected:
  Users& start(std::shared_ptr<const UserTable> users, UsersOptions options = {}) {
    users_ = std::make_unique<Users>(world_.loop(0), metrics_, std::move(users), options);
    return *users_;
  }

  Result<Principal> log_in(Login login) {
    login.protocol = "mqtt";
    login.peer = "10.0.0.9:1";
    std::optional<Result<Principal>> outcome;
    users_->log_in(login, [&](Result<Principal> got) { outcome = std::move(got); });
    EXPECT_TRUE(world_.run_until([&] { return outcome.has_value(); }));
    return std::move(*outcome);
  }
  Result<Principal> log_in(std::string_view name, std::string_view password) {
    return log_in(
        Login{.protocol = {}, .peer = {}, .client_id = "c1", .user = name, .password = password});
  }

  std::uint64_t failures(std::string_view reason) {
    return metrics_.counter("sluice_auth_failures_total", "", fmt::format(R"(reason="{}")", reason))
        .value();
  }

  sim::SimWorld world_{1, 1};
  Metrics metrics_;
  std::unique_ptr<Users> users_;
};

TEST_F(UsersTest, WithoutATableEverybodyMayDoEverything) {
  Users& users = start(nullptr);
  EXPECT_FALSE(users.login_required());
  const auto anybody = log_in("x", "whatever");
  ASSERT_TRUE(anybody);
  EXPECT_EQ(anybody->name, "x");
  EXPECT_TRUE(users.unrestricted(*anybody));
  EXPECT_TRUE(users.check(*anybody, Action::administer, ""));
  EXPECT_EQ(log_in("", "")->name, "anonymous");
  EXPECT_EQ(users.credential("x", Digest::sha256).error().code, Errc::unsupported);
}

TEST_F(UsersTest, TheRightPasswordLetsIn) {
  Users& users = start(table(ann_and_device));
  EXPECT_TRUE(users.login_required());
  const auto ann = log_in("ann", "secret");
  ASSERT_TRUE(ann);
  EXPECT_EQ(ann->name, "ann");
  EXPECT_TRUE(users.unrestricted(*ann));
}

TEST_F(UsersTest, WhoIsRefusedIsCountedByReason) {
  start(table(ann_and_device));
  for (const auto& refused :
       {log_in("ann", "wrong"), log_in("ann", ""), log_in("bob", "secret"), log_in("device", ""),
        log_in("", ""), log_in("", "secret"), log_in("anonymous", "")}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unauthorized);
  }
  EXPECT_EQ(failures("wrong_password"), 3u);
  EXPECT_EQ(failures("unknown_user"), 2u);
  EXPECT_EQ(failures("anonymous"), 2u);
}

TEST_F(UsersTest, ACertificateNamesAUserThatNeedsNoPassword) {
  Users& users = start(table(ann_and_device));
  const Login by_certificate{.protocol = {},
                             .peer = {},
                             .client_id = "c1",
                             .user = {},
                             .password = {},
                             .certificate_name = "device"};
  const auto device = log_in(by_certificate);
  ASSERT_TRUE(device);
  EXPECT_TRUE(users.check(*device, Action::publish, "d/c1"));
  EXPECT_FALSE(users.check(*device, Action::publish, "d/c2"));

  Login named = by_certificate;
  named.user = "device";
  EXPECT_TRUE(log_in(named));
  named.user = "ann";
  EXPECT_FALSE(log_in(named)) << "the certificate is another's";
  Login stranger = by_certificate;
  stranger.certificate_name = "stranger";
  EXPECT_FALSE(log_in(stranger));
}

TEST_F(UsersTest, AnonymousNeedsTheOptionAndRules) {
  start(table(ann_and_device), {.allow_anonymous = true});
  EXPECT_FALSE(users_->login_required());
  EXPECT_FALSE(log_in("", "")) << "there is no user anonymous";

  users_->replace(table({user("anonymous", "", {"allow publish open/#"})}));
  const auto anonymous = log_in("", "");
  ASSERT_TRUE(anonymous);
  EXPECT_TRUE(users_->check(*anonymous, Action::publish, "open/a"));
  EXPECT_FALSE(users_->check(*anonymous, Action::publish, "closed"));
  EXPECT_FALSE(log_in("anonymous", "x")) << "nobody has this name";

  start(table({user("anonymous", "", {"allow all"})}));
  EXPECT_FALSE(log_in("", "")) << "the option is off";
}

TEST_F(UsersTest, NewRulesHoldForOpenConnections) {
  Users& users = start(table(ann_and_device));
  const auto ann = *log_in("ann", "secret");
  users.replace(table({user("ann", "other", {"allow publish a"})}));
  EXPECT_FALSE(users.unrestricted(ann));
  EXPECT_TRUE(users.check(ann, Action::publish, "a"));
  EXPECT_FALSE(users.check(ann, Action::publish, "b"));
  EXPECT_FALSE(log_in("ann", "secret")) << "the password has changed";
  users.replace(table({user("bob", "other", {"allow all"})}));
  EXPECT_FALSE(users.check(ann, Action::publish, "a")) << "removed";
}

TEST_F(UsersTest, WhoGaveAnyNameWhileThereWereNoUsersIsNobodyOnceThereAre) {
  Users& users = start(nullptr);
  const auto claimed = *log_in("ann", "");
  const auto anonymous = *log_in("", "");
  users.replace(table(ann_and_device));
  EXPECT_FALSE(users.check(claimed, Action::publish, "a"));
  EXPECT_FALSE(users.unrestricted(claimed));
  EXPECT_FALSE(users.check(anonymous, Action::publish, "a"));
  EXPECT_FALSE(users.check(Principal{}, Action::publish, "a"));
}

TEST_F(UsersTest, APasswordThatWasRightIsRecognisedAtOnce) {
  Users& users = start(table(ann_and_device));
  ASSERT_TRUE(log_in("ann", "secret"));
  bool in = false;
  const auto try_at_once = [&](std::string_view password) {
    in = false;
    users.log_in(
        {.protocol = "mqtt", .peer = {}, .client_id = {}, .user = "ann", .password = password},
        [&](const Result<Principal>& got) { in = got.has_value(); });
    return in;
  };
  EXPECT_TRUE(try_at_once("secret"));
  EXPECT_FALSE(try_at_once("wrong"));
  world_.run_until_idle();
  EXPECT_FALSE(in);
  users.replace(table({user("ann", "other", {"allow all"})}));
  EXPECT_FALSE(try_at_once("secret")) << "forgotten with the table";
  world_.run_until_idle();
  EXPECT_FALSE(in);
}

TEST_F(UsersTest, TooManyWaitingLoginsAreRefusedAndTheLoopGoesOn) {
  constexpr int limit = 8;
  Users& users = start(table(ann_and_device), {.logins_max = limit});
  int busy = 0;
  int wrong = 0;
  for (int i = 0; i < 20; ++i)
    users.log_in(
        {.protocol = "mqtt", .peer = {}, .client_id = {}, .user = "ann", .password = "wrong"},
        [&](const Result<Principal>& got) {
          ASSERT_FALSE(got);
          ++(got.error().code == Errc::busy ? busy : wrong);
        });
  EXPECT_EQ(busy, 20 - limit) << "said within the call";
  EXPECT_EQ(wrong, 0);
  world_.run_until_idle();
  EXPECT_EQ(wrong, limit);
  EXPECT_EQ(failures("busy"), 12u);
  EXPECT_TRUE(log_in("ann", "secret")) << "there is room again";
}

TEST_F(UsersTest, LoginsUnderWayEndWithTheObject) {
  start(table(ann_and_device));
  bool called = false;
  users_->log_in(
      {.protocol = "mqtt", .peer = {}, .client_id = {}, .user = "ann", .password = "secret"},
      [&](const Result<Principal>&) { called = true; });
  users_.reset();
  world_.run_until_idle();
  EXPECT_FALSE(called);
}

TEST_F(UsersTest, ALoginIsDecidedByTheTableOfItsEnd) {
  Users& users = start(table(ann_and_device));
  std::optional<Result<Principal>> outcome;
  users.log_in(
      {.protocol = "mqtt", .peer = {}, .client_id = {}, .user = "ann", .password = "secret"},
      [&](Result<Principal> got) { outcome = std::move(got); });
  users.replace(table({user("bob", "x", {"allow all"})}));
  world_.run_until_idle();
  ASSERT_TRUE(outcome.has_value());
  EXPECT_FALSE(*outcome);
}

// --- SASL

class SaslTest : public UsersTest {
 protected:
  Result<SaslServer::Answer> step(SaslServer& server, std::string_view token) {
    std::optional<Result<SaslServer::Answer>> outcome;
    server.step(token, [&](Result<SaslServer::Answer> got) { outcome = std::move(got); });
    EXPECT_TRUE(world_.run_until([&] { return outcome.has_value(); }));
    return std::move(*outcome);
  }
  Result<SaslServer::Answer> plain(std::string_view token) {
    SaslServer server(*users_, "PLAIN", peer_);
    return step(server, token);
  }

  // A client's exchange with this password.
  Result<SaslServer::Answer> scram(Digest digest, std::string_view name,
                                   std::string_view password) {
    SaslServer server(*users_, mechanism_name(digest), peer_);
    const std::string bare = fmt::format("n={},r=client", name);
    SLUICE_TRY_ASSIGN(const auto first, step(server, "n,," + bare));
    const std::string& challenge = first.token;
    const auto nonce = challenge.substr(2, challenge.find(",s=") - 2);
    const auto salt_at = challenge.find(",s=") + 3;
    const auto its_salt =
        from_base64(std::string_view(challenge).substr(salt_at, challenge.find(",i=") - salt_at));
    const std::string without_proof = fmt::format("c=biws,r={}", nonce);
    const std::string key =
        hmac(digest, pbkdf2(digest, password, *its_salt, iterations_min), "Client Key");
    const std::string signature =
        hmac(digest, hash(digest, key), fmt::format("{},{},{}", bare, challenge, without_proof));
    return step(server,
                fmt::format("{},p={}", without_proof, base64(exclusive_or(key, signature))));
  }

  Login peer_{
      .protocol = "kafka", .peer = "10.0.0.9:1", .client_id = "c", .user = {}, .password = {}};
};

TEST_F(SaslTest, PlainTakesUserAndPassword) {
  start(table(ann_and_device));
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(plain("\0ann\0secret"sv)->principal->name, "ann");
  EXPECT_TRUE(plain("ann\0ann\0secret"sv));
  EXPECT_EQ(plain("\0ann\0wrong"sv).error().code, Errc::unauthorized);
  EXPECT_EQ(plain("device\0ann\0secret"sv).error().code, Errc::unauthorized);
  for (const auto token : {""sv, "ann"sv, "ann\0secret"sv, "\0\0secret"sv, "\0ann\0"sv,
                           "\0ann\0sec\0ret"sv, "\0\xff\0x"sv})
    EXPECT_EQ(plain(token).error().code, Errc::malformed);
  EXPECT_EQ(failures("malformed"), 7u);
}

TEST_F(SaslTest, ScramTakesTheRightPasswordOnly) {
  start(table(ann_and_device));
  for (const Digest digest : {Digest::sha256, Digest::sha512}) {
    const auto in = scram(digest, "ann", "secret");
    ASSERT_TRUE(in) << in.error().text;
    EXPECT_TRUE(in->token.starts_with("v="));
    EXPECT_EQ(in->principal->name, "ann");
    EXPECT_TRUE(users_->unrestricted(*in->principal));
    EXPECT_EQ(scram(digest, "ann", "wrong").error().code, Errc::unauthorized);
    EXPECT_EQ(scram(digest, "nobody", "secret").error().code, Errc::unauthorized);
    EXPECT_EQ(scram(digest, "device", "").error().code, Errc::unauthorized);
  }
  EXPECT_EQ(failures("unknown_user"), 2u);
  EXPECT_EQ(failures("wrong_password"), 4u);
}

TEST_F(SaslTest, WithoutUsersPlainTakesAnythingAndScramNothing) {
  start(nullptr);
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(plain("\0ann\0whatever"sv)->principal->name, "ann");
  EXPECT_EQ(scram(Digest::sha256, "ann", "whatever").error().code, Errc::unsupported);
}

}  // namespace
}  // namespace sluice::access
