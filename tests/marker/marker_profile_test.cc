// SPDX-License-Identifier: MIT
#include "marker/marker_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "base/random.h"
#include "base/threads.h"
#include "user_error.h"

namespace barcodemae {
namespace {

constexpr int kLength = 300;
constexpr int kCodonStart = 2;

/// Barcodes of a made-up marker. Coding: third codon positions free, first ones changed in 10 % of
/// the records, second ones in 2 %; else 5 % everywhere.
class Marker {
 public:
  explicit Marker(std::uint64_t seed, bool coding = true)
      : random_(seed, Stream::kSimulate), coding_(coding) {
    for (int site = 0; site < kLength; ++site) consensus_ += base();
  }

  std::string base() { return std::string(1, "ACGT"[random_.below(4)]); }

  std::string bases(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += base();
    return text;
  }

  std::string record() {
    std::string record = consensus_;
    for (int site = 0; site < kLength; ++site) {
      constexpr std::array<double, 3> kRates{0.1, 0.02, 0.8};
      const double rate =
          coding_ ? kRates[static_cast<std::size_t>(site + 3 - kCodonStart) % 3] : 0.05;
      if (random_.uniform() < rate) record[static_cast<std::size_t>(site)] = base()[0];
    }
    return record;
  }

  RandomSequence& random() { return random_; }

 private:
  RandomSequence random_;
  bool coding_;
  std::string consensus_;
};

struct Truth {
  std::string sequence;
  int begin;
  bool reverse;
};

/// Ragged records: half complete, the others cut or with foreign bases in front; every fifth on the
/// other strand.
std::vector<Truth> ragged_records(Marker& marker, int count) {
  std::vector<Truth> truths;
  for (int i = 0; i < count; ++i) {
    Truth truth{marker.record(), 0, i % 5 == 3};
    if (i % 4 == 1) {
      truth.begin = static_cast<int>(marker.random().below(90));
      truth.sequence = truth.sequence.substr(static_cast<std::size_t>(truth.begin), 180);
    } else if (i % 4 == 2) {
      truth.begin = -static_cast<int>(marker.random().below(150));
      truth.sequence = marker.bases(-truth.begin) + truth.sequence;
    }
    if (truth.reverse) truth.sequence = reverse_complement(truth.sequence);
    truths.push_back(truth);
  }
  return truths;
}

std::vector<std::string_view> views(const std::vector<Truth>& truths) {
  std::vector<std::string_view> sequences;
  for (const Truth& truth : truths) sequences.push_back(truth.sequence);
  return sequences;
}

MarkerProfile learned(Marker& marker) {
  return MarkerProfile::learn(views(ragged_records(marker, 400))).value();
}

TEST(MarkerProfile, FindsLengthCodonsAndEveryRecordOnEitherStrand) {
  Marker marker(1);
  const MarkerProfile profile = learned(marker);
  EXPECT_EQ(profile.length(), kLength);
  EXPECT_EQ(profile.codon_start(), kCodonStart);
  EXPECT_TRUE(profile.has_codons());
  for (const Truth& truth : ragged_records(marker, 200)) {
    const Placement placement = profile.place(truth.sequence);
    ASSERT_TRUE(placement.explained);
    EXPECT_EQ(placement.begin, truth.begin);
    EXPECT_EQ(placement.reverse_complement, truth.reverse);
    EXPECT_GE(placement.agreement, MarkerProfile::kAgreement);
  }
}

TEST(MarkerProfile, RunsAlongTheCodingStrandElseAlongThatOfMostRecords) {
  for (const bool coding : {true, false}) {
    Marker marker(2, coding);
    std::vector<Truth> truths = ragged_records(marker, 200);
    std::stable_partition(truths.begin(), truths.end(),  // a reversed one first
                          [](const Truth& truth) { return truth.reverse; });
    if (coding) {  // and nearly all of them reversed
      for (Truth& truth : truths) truth.sequence = reverse_complement(truth.sequence);
    }
    const auto profile = MarkerProfile::learn(views(truths));
    ASSERT_TRUE(profile);
    EXPECT_EQ(profile->has_codons(), coding);
    EXPECT_EQ(profile->codon_start(), coding ? kCodonStart : 0);
    const Placement placement = profile->place(marker.record());
    EXPECT_TRUE(placement.explained);
    EXPECT_FALSE(placement.reverse_complement);
  }
}

TEST(MarkerProfile, DoesNotExplainChance) {
  Marker marker(3);
  const MarkerProfile profile = learned(marker);
  const auto unexplained = [&](const std::string& sequence) {
    const Placement placement = profile.place(sequence);
    return !placement.explained && placement.begin == 0 && !placement.reverse_complement;
  };
  for (int i = 0; i < 300; ++i) EXPECT_TRUE(unexplained(marker.bases(20 + 3 * i)));
  EXPECT_TRUE(unexplained(""));
  EXPECT_TRUE(unexplained(std::string(400, 'N')));
  EXPECT_TRUE(unexplained(marker.record().substr(100, 45)));  // too short to tell
  // An insertion of one base in the middle: neither half explains the whole.
  std::string shifted = marker.record();
  EXPECT_TRUE(unexplained(shifted.insert(150, "A")));
}

TEST(MarkerProfile, LearnsNothingWhereThereIsNoMarker) {
  Marker marker(4);
  std::vector<Truth> unrelated, few;
  for (int i = 0; i < 300; ++i) unrelated.push_back({marker.bases(kLength), 0, false});
  for (int i = 0; i < 19; ++i) few.push_back({marker.record(), 0, false});
  EXPECT_FALSE(MarkerProfile::learn(views(unrelated)));
  EXPECT_FALSE(MarkerProfile::learn(views(few)));
  EXPECT_FALSE(MarkerProfile::learn({}));
}

TEST(MarkerProfile, IsTheSameForAnyThreadCount) {
  Marker marker(5);
  const std::vector<Truth> truths = ragged_records(marker, 1000);
  const int threads = thread_count();
  set_thread_count(1);
  const std::string one = MarkerProfile::learn(views(truths)).value().to_json();
  set_thread_count(3);
  const std::string three = MarkerProfile::learn(views(truths)).value().to_json();
  set_thread_count(threads);
  EXPECT_EQ(one, three);
}

TEST(MarkerProfile, SurvivesJson) {
  Marker marker(6);
  const MarkerProfile profile = learned(marker);
  const std::string json = profile.to_json();
  const MarkerProfile copy = MarkerProfile::from_json(json, "marker.json");
  EXPECT_EQ(copy.to_json(), json);
  EXPECT_EQ(copy.frequencies(), profile.frequencies());
  for (const Truth& truth : ragged_records(marker, 50)) {
    EXPECT_EQ(copy.place(truth.sequence).begin, profile.place(truth.sequence).begin);
  }
}

TEST(MarkerProfile, RefusesMalformedJson) {
  Marker marker(7);
  const std::string good = learned(marker).to_json();
  const auto refusal = [](const std::string& text) {
    return user_error([&] { MarkerProfile::from_json(text, "some.json"); });
  };
  const auto names_the_file = testing::StartsWith("some.json: ");
  const auto with = [&](const std::string& old, const std::string& replacement) {
    std::string text = good;
    return text.replace(text.find(old), old.size(), replacement);
  };
  EXPECT_NO_THROW(MarkerProfile::from_json(good, "some.json"));
  EXPECT_THAT(refusal(""), names_the_file);
  EXPECT_THAT(refusal("[]"), names_the_file);
  EXPECT_THAT(refusal(std::string(100000, '[')), names_the_file);
  EXPECT_THAT(refusal(good.substr(0, good.size() / 2)), names_the_file);
  EXPECT_THAT(refusal(with("\"format_version\":1", "\"format_version\":2")), names_the_file);
  EXPECT_THAT(refusal(with("\"length\":300", "\"length\":299")), names_the_file);
  EXPECT_THAT(refusal(with("\"length\":300", "\"length\":1e9")), names_the_file);
  EXPECT_THAT(refusal(with("\"length\":300", "\"length\":18446744073709551615")), names_the_file);
  EXPECT_THAT(refusal(with("\"codon_start\":2", "\"codon_start\":3")), names_the_file);
  EXPECT_THAT(refusal(with("\"codon_start\":2", "\"codon_start\":\"2\"")), names_the_file);
  EXPECT_THAT(refusal(with("\"consensus\":\"", "\"consensus\":\"A")), names_the_file);
  EXPECT_THAT(refusal(with("\"counts\"", "\"count\"")), names_the_file);
  EXPECT_THAT(refusal(with("\"A\":[", "\"A\":[-")), names_the_file);
  EXPECT_THAT(refusal(with("\"A\":[", "\"A\":[0.5,")), names_the_file);
}

TEST(ReverseComplement, ComplementsAmbiguityCodesToo) {
  EXPECT_EQ(reverse_complement("AACGTRYSWKMBDHVN-"), "-NBDHVKMWSRYACGTT");
  EXPECT_EQ(reverse_complement(""), "");
}

}  // namespace
}  // namespace barcodemae
