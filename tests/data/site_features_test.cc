// SPDX-License-Identifier: MIT
#include "data/site_features.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace barcodemae {
namespace {

/// A marker of 120 sites, nine of which vary, and a coder of 6-mers in its coordinates.
class SiteFeatures : public testing::Test {
 protected:
  SiteFeatures() {
    RandomSequence random(5, Stream::kSimulate);
    for (int i = 0; i < 120; ++i) whole_ += "ACGT"[random.below(4)];
    std::vector<std::string> records(100, whole_);
    for (std::size_t i = 0; i < records.size(); i += 4) {
      for (std::size_t site = 30; site < 39; ++site)
        records[i][site] = whole_[site] == 'A' ? 'C' : 'A';
    }
    coder_.profile = *MarkerProfile::learn({records.begin(), records.end()});
  }
  std::vector<float> features(const SequenceCoder& coder, const TokenSequence& tokens) const {
    std::vector<float> result(static_cast<std::size_t>(site_feature_count(coder)), 9);
    write_site_features(coder, tokens, result);
    return result;
  }

  std::string whole_;
  SequenceCoder coder_{KmerTokenizer{KmerVocabulary{}}, std::nullopt};
};

TEST_F(SiteFeatures, AreIndicatorsLessFrequenciesWhereThereAreTokens) {
  ASSERT_EQ(site_feature_count(coder_), 110 * 6 * 4);
  const std::string part = whole_.substr(10, 50);
  const TokenSequence tokens = coder_.encode(part);
  ASSERT_GE(tokens.ids.size(), 7u);
  const std::vector<float> made = features(coder_, tokens);
  std::vector<float> expected(made.size(), 0);
  for (const int place : tokens.positions) {
    for (int i = 0; i < 6; ++i) {
      const auto site = static_cast<std::size_t>(coder_.profile->codon_start() + 6 * place + i);
      for (std::size_t base = 0; base < 4; ++base) {
        expected[static_cast<std::size_t>(place * 6 + i) * 4 + base] =
            (whole_[site] == "ACGT"[base] ? 1.0f : 0.0f) -
            coder_.profile->frequencies()[site][base];
      }
    }
  }
  EXPECT_EQ(made, expected);
  EXPECT_NE(made, std::vector<float>(made.size(), 0)) << "some sites vary";
}

TEST_F(SiteFeatures, MaskedTokensHaveNone) {
  TokenSequence tokens = coder_.encode(whole_);
  const std::vector<float> whole = features(coder_, tokens);
  tokens.ids[5] = KmerVocabulary::kMask;
  std::vector<float> masked = features(coder_, tokens);
  const auto first = static_cast<std::size_t>(tokens.positions[5]) * 24;
  EXPECT_NE(masked, whole);
  for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(masked[first + i], 0);
}

TEST_F(SiteFeatures, AreBehindClsWhatTheyAreWithoutIt) {
  KmerVocabulary vocabulary;
  vocabulary.specials.emplace_back(KmerVocabulary::kCls);
  const SequenceCoder with_cls{KmerTokenizer{vocabulary}, coder_.profile};
  EXPECT_EQ(features(with_cls, with_cls.encode(whole_)), features(coder_, coder_.encode(whole_)));
}

TEST_F(SiteFeatures, NeedMarkerCoordinates) {
  coder_.profile.reset();
  EXPECT_FALSE(has_site_features(coder_));
  EXPECT_EQ(site_feature_count(coder_), 0);
}

}  // namespace
}  // namespace barcodemae
