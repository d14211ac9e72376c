#include "kafka_stream/stream_notes.h"

#include <gtest/gtest.h>

namespace sluice::kafka_stream {
namespace {

TEST(StreamNotes, ANoteIsReadAsItWasWritten) {
  for (const StreamNote& note : {StreamNote{}, StreamNote{3, true}, StreamNote{7, false}})
    EXPECT_EQ(decode_note(encode_note(note)), note) << encode_note(note);
  EXPECT_EQ(encode_note({3, true}), "life=3 wildcard=true") << "docs/formats/stream-notes.md";
}

TEST(StreamNotes, FieldsOfLaterVersionsAreSkipped) {
  EXPECT_EQ(decode_note("life=3 wildcard=true colour=blue"), (StreamNote{3, true}));
}

TEST(StreamNotes, WhatIsNoNoteIsNotTakenForOne) {
  for (const auto* const text : {"", "life=", "life=3", "life=x wildcard=true",
                                 "life=-1 wildcard=true", "life=3 colour=blue"})
    EXPECT_EQ(decode_note(text), std::nullopt) << text;
}

}  // namespace
}  // namespace sluice::kafka_stream
