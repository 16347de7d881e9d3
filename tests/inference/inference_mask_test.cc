// SPDX-License-Identifier: MIT
#include "inference/inference_mask.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "backend/backends.h"
#include "inference/embedder.h"
#include "tiny_model.h"

namespace barcodemae {
namespace {

using Kind = InferenceMask::Kind;
const std::int32_t kFirstKmer = KmerVocabulary().first_kmer();

/// [UNK] at every fifth place.
TokenSequence tokens(std::int32_t count) {
  TokenSequence sequence;
  for (std::int32_t i = 0; i < count; ++i) {
    sequence.ids.push_back(i % 5 == 4 ? KmerVocabulary::kUnknown : 100 + i);
    sequence.positions.push_back(2 * i);
  }
  return sequence;
}

TEST(InferenceMask, DropKeepsPositionsAndReplaceKeepsLength) {
  const TokenSequence sequence = tokens(50);  // 40 k-mers
  const MaskedSequence dropped = masked(sequence, kFirstKmer, {Kind::kDrop, 0.3}, "A");
  const MaskedSequence replaced = masked(sequence, kFirstKmer, {Kind::kReplace, 0.3}, "A");
  const MaskedSequence pooled = masked(sequence, kFirstKmer, {Kind::kOnlyMasked, 0.3}, "A");
  ASSERT_EQ(dropped.tokens.ids.size(), 50u - 12);
  EXPECT_EQ(replaced.tokens.positions, sequence.positions);
  EXPECT_EQ(pooled.tokens.ids, replaced.tokens.ids);
  EXPECT_EQ(replaced.pooled.size(), 50u);
  ASSERT_EQ(pooled.pooled.size(), 12u);
  std::size_t visible = 0;
  for (std::size_t i = 0; i < 50; ++i) {
    const bool hidden = replaced.tokens.ids[i] == KmerVocabulary::kMask;
    EXPECT_EQ(hidden, std::count(pooled.pooled.begin(), pooled.pooled.end(), i) == 1);
    if (hidden) {
      EXPECT_NE(sequence.ids[i], KmerVocabulary::kUnknown);
      continue;
    }
    EXPECT_EQ(dropped.tokens.ids[visible], sequence.ids[i]);
    EXPECT_EQ(dropped.tokens.positions[visible++], sequence.positions[i]);
  }
}

TEST(InferenceMask, DependsOnIdAndSeedAndGrowsWithTheRate) {
  const TokenSequence sequence = tokens(60);
  const auto hidden = [&](double rate, const char* id, std::uint64_t seed = 1) {
    return masked(sequence, kFirstKmer, {Kind::kOnlyMasked, rate, seed}, id).pooled;
  };
  EXPECT_EQ(hidden(0.5, "A"), hidden(0.5, "A"));
  EXPECT_NE(hidden(0.5, "A"), hidden(0.5, "B"));
  EXPECT_NE(hidden(0.5, "A"), hidden(0.5, "A", 2));
  const auto few = hidden(0.2, "A"), many = hidden(0.7, "A");
  EXPECT_TRUE(std::includes(many.begin(), many.end(), few.begin(), few.end()));
}

TEST(InferenceMask, SomethingIsAlwaysLeft) {
  const TokenSequence one{{50}, {3}};
  EXPECT_EQ(masked(one, kFirstKmer, {Kind::kDrop, 1}, "A").tokens.ids, one.ids);
  EXPECT_EQ(masked(one, kFirstKmer, {Kind::kOnlyMasked, 0.1}, "A").tokens.ids[0],
            KmerVocabulary::kMask);
  const TokenSequence unknown{{KmerVocabulary::kUnknown, KmerVocabulary::kUnknown}, {0, 1}};
  EXPECT_EQ(masked(unknown, kFirstKmer, {Kind::kOnlyMasked, 0.5}, "A").pooled.size(), 2u);
  EXPECT_TRUE(masked({}, kFirstKmer, {Kind::kDrop, 0.5}, "A").tokens.ids.empty());
  const TokenSequence begun{{2, 50, 60}, {0, 1, 2}};  // by [CLS], which is in no mean
  const std::vector<std::int32_t> left = masked(begun, 3, {Kind::kDrop, 1}, "A").tokens.ids;
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(left.front(), 2);
  const TokenSequence no_kmer{{2, KmerVocabulary::kUnknown, KmerVocabulary::kUnknown}, {0, 1, 2}};
  EXPECT_EQ(masked(no_kmer, 3, {Kind::kOnlyMasked, 0.5}, "A").pooled,
            (std::vector<std::int32_t>{1, 2}));
}

/// Vectors of records under masks, on a tiny random model.
class MaskedEmbedding : public testing::Test {
 protected:
  MaskedEmbedding() {
    for (const std::string& sequence : odd_sequences(30)) {
      Record record;
      record.id = "R" + std::to_string(data_.size());
      record.sequence = sequence;
      data_.append(record);
    }
    records_.resize(30);
    std::iota(records_.begin(), records_.end(), 0);
  }
  Matrix embed(const InferenceMask& mask, std::int64_t batch_tokens = 200) {
    EmbedderOptions options;
    options.batch_tokens = batch_tokens;
    options.device = "reference";
    Embedder embedder = Embedder::random(description_, 3, options);
    return embedder.embed(data_, records_, {}, mask);
  }
  ModelDescription description_ = tiny_description();
  Dataset data_;
  std::vector<std::int64_t> records_;
};

TEST_F(MaskedEmbedding, RateZeroIsNoMask) {
  const Matrix plain = embed({});
  EXPECT_EQ(embed({Kind::kDrop, 0}).values, plain.values);
  EXPECT_EQ(embed({Kind::kReplace, 0}).values, plain.values);
  EXPECT_NE(embed({Kind::kReplace, 0.5}).values, plain.values);
  EXPECT_NE(embed({Kind::kReplace, 0.5}).values, embed({Kind::kDrop, 0.5}).values);
}

TEST_F(MaskedEmbedding, DoesNotDependOnTheBatch) {
  for (const Kind kind : {Kind::kDrop, Kind::kReplace, Kind::kOnlyMasked}) {
    EXPECT_EQ(embed({kind, 0.4}, 1).values, embed({kind, 0.4}, 300).values) << to_string(kind);
  }
}

TEST_F(MaskedEmbedding, OnlyMaskedLeavesTheOtherTokensOutOfTheMean) {
  // With all k-mers masked, the two differ by what [UNK] adds to the mean.
  const Matrix all = embed({Kind::kReplace, 1}), masked_only = embed({Kind::kOnlyMasked, 1});
  const auto& vocabulary = description_.coder.tokenizer.vocabulary();
  int whole = 0, part = 0;
  for (const std::int64_t record : records_) {
    const TokenSequence sequence = data_.tokens(record, description_.coder);
    if (sequence.ids.empty()) continue;
    const bool only_kmers = std::all_of(sequence.ids.begin(), sequence.ids.end(),
                                        [&](auto id) { return id >= vocabulary.first_kmer(); });
    const bool no_kmer = std::all_of(sequence.ids.begin(), sequence.ids.end(),
                                     [&](auto id) { return id < vocabulary.first_kmer(); });
    const auto a = all.row(record), b = masked_only.row(record);
    const bool same = std::equal(a.begin(), a.end(), b.begin());
    EXPECT_EQ(same, only_kmers || no_kmer) << record;
    (same ? whole : part) += 1;
  }
  EXPECT_GT(whole, 0);
  EXPECT_GT(part, 0) << "some sequence has an ambiguous base";
}

}  // namespace
}  // namespace barcodemae
