#include "kafka_stream/names.h"

#include <gtest/gtest.h>

namespace sluice::kafka_stream {
namespace {

TEST(Names, AStreamHasTheTopicOfItsName) {
  EXPECT_EQ(topic_of("sensors"), "sensors");
  EXPECT_EQ(stream_of("sensors"), "sensors");
}

TEST(Names, OwnStreamsLieInTopicsThatClashWithNobody) {
  EXPECT_EQ(topic_of("__retained"), "__sluice_retained");
  EXPECT_EQ(stream_of("__sluice_retained"), "__retained");
  EXPECT_EQ(stream_of("__retained"), std::nullopt) << "somebody else's";
}

TEST(Names, TopicsOfKafkaAndTheNotesAreNoStreams) {
  EXPECT_EQ(stream_of("__consumer_offsets"), std::nullopt);
  EXPECT_EQ(stream_of(notes_topic), std::nullopt);
}

TEST(Names, IdsAreTheSameForEver) {
  // Written in rows of `__retained`: a change of these numbers loses what clusters hold.
  EXPECT_EQ(stream_id("mqtt", 0).value, 0x95fdcaa28124affbull);
  EXPECT_EQ(stream_id("__retained", 0).value, 45853u);
}

TEST(Names, EachLifeOfAStreamHasAnIdOfItsOwn) {
  EXPECT_NE(stream_id("sensors", 0), stream_id("sensors", 1));
  EXPECT_NE(stream_id("sensors", 1), stream_id("sensors", 2));
  EXPECT_GE(stream_id("sensors", 1).value, internal_stream_ids);
  EXPECT_LT(stream_id("__groups", 0).value, internal_stream_ids);
}

}  // namespace
}  // namespace sluice::kafka_stream
