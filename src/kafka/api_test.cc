#include "kafka/api.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <regex>
#include <set>
#include <string>

namespace sluice::kafka {
namespace {

std::string snake_case(std::string_view camel_case) {
  std::string out;
  for (const char c : camel_case) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0 && !out.empty()) out += '_';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

std::string row(std::string_view name, int key, std::string_view versions) {
  return fmt::format("{} ({}) {}", name, key, versions);
}

TEST(Apis, AreThoseOfTheReference) {
  std::ifstream reference("docs/reference/kafka.md");  // tests run in the project's directory
  ASSERT_TRUE(reference);
  const std::regex form(R"(\| (\w+) \((\d+)\) \| (\d+(?:-\d+)?) \|.*)");
  std::set<std::string> documented;
  std::smatch match;
  for (std::string line; std::getline(reference, line);) {
    if (std::regex_match(line, match, form))
      documented.insert(row(snake_case(match.str(1)), std::stoi(match.str(2)), match.str(3)));
  }
  std::set<std::string> served;
  for (const Api& api : all_apis()) {
    const auto versions = api.version_min == api.version_max
                              ? fmt::format("{}", api.version_max)
                              : fmt::format("{}-{}", api.version_min, api.version_max);
    served.insert(row(api.name, static_cast<int>(api.key), versions));
  }
  EXPECT_EQ(documented, served);
}

}  // namespace
}  // namespace sluice::kafka
