#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/users.h"

namespace sluice::access {

constexpr std::string_view test_salt = "0123456789";

// A user whose password is checked by the fewest iterations.
inline User test_user(std::string name, std::string_view password,
                      const std::vector<std::string>& rules) {
  User out{.name = std::move(name)};
  for (const auto digest : {Digest::sha256, Digest::sha512})
    out.credentials.push_back(make_credential(digest, password, test_salt, iterations_min));
  std::vector<Rule> parsed;
  for (const auto& rule : rules) parsed.push_back(*parse_rule(rule));
  out.rules = Rules(std::move(parsed));
  return out;
}

// The client's side of a SCRAM exchange for the test user `user`; `exchange` carries a token there
// and the answer back, and asks nothing more once an answer is empty. Returns the last answer.
template <class Exchange>
std::string scram_login(Digest digest, std::string_view user, std::string_view password,
                        Exchange exchange) {
  const std::string bare = fmt::format("n={},r=client", user);
  const std::string challenge = exchange("n,," + bare);
  const auto salt_at = challenge.find(",s=");
  if (salt_at == std::string::npos) return challenge;
  const auto nonce = challenge.substr(2, salt_at - 2);
  const std::string without_proof = fmt::format("c=biws,r={}", nonce);
  const std::string key =
      hmac(digest, pbkdf2(digest, password, test_salt, iterations_min), "Client Key");
  const std::string signature =
      hmac(digest, hash(digest, key), fmt::format("{},{},{}", bare, challenge, without_proof));
  return exchange(fmt::format("{},p={}", without_proof, base64(exclusive_or(key, signature))));
}

}  // namespace sluice::access
