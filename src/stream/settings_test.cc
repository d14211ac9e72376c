#include "stream/settings.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::stream {
namespace {

const Setting& find(const std::vector<Setting>& settings, std::string_view name) {
  return *std::ranges::find(settings, name, &Setting::name);
}

TEST(StreamSettings, WhatWasAppliedIsShownAndNoLongerDefault) {
  StreamConfig config;
  ASSERT_TRUE(apply_setting(config, "retention.ms", "60000"));
  ASSERT_TRUE(apply_setting(config, "sluice.wildcard", "true"));
  ASSERT_TRUE(apply_setting(config, "segment.bytes", "-1"));
  EXPECT_EQ(config.retention_ms, 60000);
  EXPECT_TRUE(config.wildcard);

  const auto settings = settings_of(config, {});
  EXPECT_EQ(find(settings, "retention.ms").value, "60000");
  EXPECT_FALSE(find(settings, "retention.ms").is_default);
  EXPECT_EQ(find(settings, "sluice.wildcard").value, "true");
  EXPECT_TRUE(find(settings, "segment.bytes").is_default);
}

TEST(StreamSettings, EverythingShownCanBeAppliedAgain) {
  StreamConfig config{.retention_ms = 5,
                      .retention_bytes = 1 << 30,
                      .segment_ms = 7,
                      .compact = true,
                      .expire = false,
                      .delete_retention_ms = 8,
                      .min_compaction_lag_ms = 9,
                      .wildcard = true};
  StreamConfig copy;
  for (const auto& setting : settings_of(config, {})) {
    ASSERT_TRUE(apply_setting(copy, setting.name, setting.value)) << setting.name;
  }
  EXPECT_EQ(copy, config);
}

TEST(StreamSettings, TheCleanupPolicyIsAListInAnyOrder) {
  for (const auto& [value, shown] : std::initializer_list<std::pair<const char*, const char*>>{
           {"delete", "delete"},
           {"compact", "compact"},
           {"compact,delete", "compact,delete"},
           {"delete,compact", "compact,delete"}}) {
    StreamConfig config;
    ASSERT_TRUE(apply_setting(config, "cleanup.policy", value)) << value;
    EXPECT_EQ(find(settings_of(config, {}), "cleanup.policy").value, shown);
  }
}

TEST(StreamSettings, AnUnknownNameNamesTheNearest) {
  StreamConfig config;
  const auto result = apply_setting(config, "retention.msec", "5");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::invalid);
  EXPECT_EQ(result.error().text,
            "unknown setting \"retention.msec\"; did you mean \"retention.ms\"?");
}

TEST(StreamSettings, ARefusedValueNamesWhatIsAllowedAndChangesNothing) {
  StreamConfig config;
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"retention.ms", "-2"},
           {"retention.ms", "1h"},
           {"retention.ms", ""},
           {"segment.bytes", "100"},
           {"max.message.bytes", "-1"},
           {"max.message.bytes", "3000000000"},
           {"sluice.wildcard", "yes"},
           {"cleanup.policy", ""},
           {"cleanup.policy", "compact,"},
           {"cleanup.policy", "delete,delete"},
           {"cleanup.policy", "compress"},
           {"segment.ms", "0"},
           {"min.cleanable.dirty.ratio", "0.1"},
           {"compression.type", "gzip"}}) {
    const auto result = apply_setting(config, name, value);
    ASSERT_FALSE(result) << name << " = " << value;
    EXPECT_EQ(result.error().code, Errc::invalid);
    EXPECT_NE(result.error().text.find(name), std::string::npos);
  }
  EXPECT_EQ(config, StreamConfig{});
  EXPECT_EQ(apply_setting(config, "compression.type", "gzip").error().text,
            "setting compression.type = \"gzip\": must be \"producer\"");
}

TEST(StreamConfig, IsRefusedWhenAFieldIsOutOfRange) {
  EXPECT_TRUE(validate_config({}));
  EXPECT_FALSE(validate_config({.partitions = 0}));
  EXPECT_FALSE(validate_config({.partitions = 100'000}));
  EXPECT_FALSE(validate_config({.retention_ms = -2}));
  EXPECT_FALSE(validate_config({.max_message_bytes = 0}));
  EXPECT_FALSE(validate_config({.compact = false, .expire = false}));
}

}  // namespace
}  // namespace sluice::stream
