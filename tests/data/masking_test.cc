// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/random.h"
#include "data/batch.h"

namespace barcodemae {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int32_t kFirstKmer = 2;

/// A sequence of `tokens` tokens; every seventh is [UNK]. Positions skip every fifth place.
TokenSequence sequence(int tokens) {
  TokenSequence sequence;
  for (int i = 0; i < tokens; ++i) {
    sequence.ids.push_back(i % 7 == 3 ? KmerVocabulary::kUnknown : kFirstKmer + i);
    sequence.positions.push_back(i + i / 4);
  }
  return sequence;
}

PackedBatch batch_of(const std::vector<std::pair<int, std::int32_t>>& tokens_and_records) {
  PackedBatch batch;
  for (const auto& [tokens, record] : tokens_and_records) batch.append(sequence(tokens), record);
  return batch;
}

MaskingPlan plan(const PackedBatch& batch, double ratio,
                 MaskingScheme scheme = MaskingScheme::kBernoulli, std::uint64_t seed = 1,
                 std::uint32_t step = 1) {
  return plan_masking(batch,
                      {.scheme = scheme, .ratio = ratio, .first_kmer = kFirstKmer, .kmers = 4096},
                      seed, step);
}

TEST(PackedBatch, LaysSequencesEndToEnd) {
  const PackedBatch batch = batch_of({{2, 7}, {0, 3}, {1, 9}});
  EXPECT_THAT(batch.begins, ElementsAre(0, 2, 2, 3));
  EXPECT_THAT(batch.records, ElementsAre(7, 3, 9));
  EXPECT_EQ(batch.tokens(), 3);
  EXPECT_EQ(batch.sequences(), 3);
}

TEST(Masking, DividesTheRowsAndNeverHidesUnknowns) {
  const PackedBatch batch = batch_of({{110, 0}, {0, 1}, {1, 2}, {109, 3}});
  for (const auto scheme : {MaskingScheme::kBernoulli, MaskingScheme::kExactCount}) {
    const MaskingPlan masking = plan(batch, 0.5, scheme);
    std::vector<std::int32_t> rows;
    std::ranges::merge(masking.encoder_rows, masking.masked_rows, std::back_inserter(rows));
    ASSERT_EQ(rows.size(), batch.ids.size());
    for (std::size_t row = 0; row < rows.size(); ++row) EXPECT_EQ(rows[row], row);

    std::vector<std::int32_t> visible_kmers;
    std::ranges::copy_if(
        masking.encoder_rows, std::back_inserter(visible_kmers),
        [&](std::int32_t row) { return batch.ids[static_cast<std::size_t>(row)] >= kFirstKmer; });
    EXPECT_EQ(masking.visible_rows, visible_kmers);
    for (const std::int32_t row : masking.masked_rows) {
      EXPECT_GE(batch.ids[static_cast<std::size_t>(row)], kFirstKmer);
    }
    ASSERT_EQ(masking.encoder_begins.size(), batch.begins.size());
    for (std::size_t i = 0; i < batch.begins.size(); ++i) {
      EXPECT_EQ(masking.encoder_begins[i],
                std::ranges::count_if(masking.encoder_rows,
                                      [&](std::int32_t row) { return row < batch.begins[i]; }));
    }
  }
}

TEST(Masking, BernoulliComparesTheTokensOwnNumberWithTheRatio) {
  const PackedBatch batch = batch_of({{110, 41}});
  const MaskingPlan masking = plan(batch, 0.3, MaskingScheme::kBernoulli, 5, 17);
  const std::set<std::int32_t> masked(masking.masked_rows.begin(), masking.masked_rows.end());
  for (std::int32_t row = 0; row < 110; ++row) {
    const auto token = static_cast<std::size_t>(row);
    if (batch.ids[token] < kFirstKmer) continue;
    const auto position = static_cast<std::uint32_t>(batch.positions[token]);
    const auto block =
        philox4x32({static_cast<std::uint32_t>(Stream::kMask), 17, 41, position / 4}, 5);
    EXPECT_EQ(masked.contains(row), block[position % 4] < 0.3 * 0x1p32);
  }
}

TEST(Masking, DoesNotDependOnTheBatch) {
  for (const auto scheme : {MaskingScheme::kBernoulli, MaskingScheme::kExactCount}) {
    const MaskingPlan alone = plan(batch_of({{110, 7}}), 0.4, scheme);
    const MaskingPlan among = plan(batch_of({{50, 3}, {110, 7}, {20, 9}}), 0.4, scheme);
    std::vector<std::int32_t> rows;
    for (const std::int32_t row : among.masked_rows) {
      if (row >= 50 && row < 160) rows.push_back(row - 50);
    }
    EXPECT_EQ(rows, alone.masked_rows);
  }
}

TEST(Masking, BernoulliMasksTheRatioOnAverage) {
  std::vector<std::pair<int, std::int32_t>> sequences;
  for (int i = 0; i < 500; ++i) sequences.emplace_back(105, i);
  const PackedBatch batch = batch_of(sequences);
  const double kmers = 500 * 90;
  const MaskingPlan first = plan(batch, 0.5);
  EXPECT_NEAR(static_cast<double>(first.masked_rows.size()), 0.5 * kmers, 4 * std::sqrt(kmers) / 2);
  EXPECT_NE(first.masked_rows, plan(batch, 0.5, MaskingScheme::kBernoulli, 2).masked_rows);
  EXPECT_NE(first.masked_rows, plan(batch, 0.5, MaskingScheme::kBernoulli, 1, 2).masked_rows);
}

TEST(Masking, ExactCountRoundsPerSequence) {
  for (const int tokens : {0, 1, 2, 5, 20, 110}) {
    const PackedBatch batch = batch_of({{tokens, tokens}});
    const auto kmers =
        std::ranges::count_if(batch.ids, [](std::int32_t id) { return id >= kFirstKmer; });
    for (const double ratio : {0.0, 0.15, 0.5, 0.75, 1.0}) {
      EXPECT_EQ(plan(batch, ratio, MaskingScheme::kExactCount).masked_rows.size(),
                std::llround(ratio * static_cast<double>(kmers)));
    }
  }
}

TEST(Masking, ReplacesAndKeepsSharesOfTheChosen) {
  std::vector<std::pair<int, std::int32_t>> sequences;
  for (int i = 0; i < 500; ++i) sequences.emplace_back(105, i);
  const PackedBatch batch = batch_of(sequences);
  MaskingRules rules{
      .random_share = 0.3, .keep_share = 0.2, .first_kmer = kFirstKmer, .kmers = 4096};
  const MaskingPlan left_out = plan_masking(batch, rules, 1, 1);
  EXPECT_EQ(left_out.masked_rows, plan(batch, 0.5).masked_rows) << "the same are chosen";
  const std::set<std::int32_t> seen(left_out.encoder_rows.begin(), left_out.encoder_rows.end());
  double masked = 0, random = 0, kept = 0;
  for (const std::int32_t row : left_out.masked_rows) {
    const auto token = static_cast<std::size_t>(row);
    const std::int32_t id = left_out.ids[token];
    EXPECT_EQ(seen.contains(row), id != KmerVocabulary::kMask);
    ++(id == KmerVocabulary::kMask ? masked : id == batch.ids[token] ? kept : random);
    EXPECT_LT(id, kFirstKmer + 4096);
  }
  const auto chosen = static_cast<double>(left_out.masked_rows.size());
  EXPECT_NEAR(masked / chosen, 0.5, 0.02);
  EXPECT_NEAR(random / chosen, 0.3, 0.02);
  EXPECT_NEAR(kept / chosen, 0.2, 0.02);
  for (const std::int32_t row : left_out.visible_rows) {
    EXPECT_EQ(left_out.ids[static_cast<std::size_t>(row)],
              batch.ids[static_cast<std::size_t>(row)]);
  }
  rules.leave_out = false;
  const MaskingPlan shown = plan_masking(batch, rules, 1, 1);
  EXPECT_EQ(shown.ids, left_out.ids);
  EXPECT_EQ(static_cast<std::int64_t>(shown.encoder_rows.size()), batch.tokens());
  EXPECT_EQ(shown.encoder_begins, batch.begins);
}

// Of the masked tokens; the others are neither seen nor asked for.
TEST(Masking, PredictsAShareOfTheMasked) {
  std::vector<std::pair<int, std::int32_t>> sequences;
  for (int i = 0; i < 500; ++i) sequences.emplace_back(105, i);
  const PackedBatch batch = batch_of(sequences);
  MaskingRules rules{.keep_share = 0.2, .first_kmer = kFirstKmer, .kmers = 4096};
  const MaskingPlan all = plan_masking(batch, rules, 1, 1);
  EXPECT_FALSE(all.decoder_rows);
  rules.predict_share = 0.3;
  const MaskingPlan some = plan_masking(batch, rules, 1, 1);
  EXPECT_EQ(some.encoder_rows, all.encoder_rows) << "the encoder sees the same";
  EXPECT_EQ(some.visible_rows, all.visible_rows);
  EXPECT_TRUE(std::ranges::includes(all.masked_rows, some.masked_rows));
  const auto chosen = static_cast<double>(all.masked_rows.size());
  const auto predicted = static_cast<double>(some.masked_rows.size());
  EXPECT_NEAR(predicted / chosen, 0.3, 4 * std::sqrt(0.3 * 0.7 / chosen));
  std::vector<std::int32_t> decoded;
  std::ranges::set_union(some.encoder_rows, some.masked_rows, std::back_inserter(decoded));
  EXPECT_EQ(some.decoder_rows, decoded);
  // Nothing can be told of the one choice from the other.
  double kept = 0;
  for (const std::int32_t row : some.masked_rows) {
    kept += std::ranges::binary_search(some.encoder_rows, row) ? 1 : 0;
  }
  EXPECT_NEAR(kept / predicted, 0.2, 0.02);
  rules.leave_out = false;
  const MaskingPlan shown = plan_masking(batch, rules, 1, 1);
  EXPECT_EQ(shown.masked_rows, some.masked_rows);
  EXPECT_FALSE(shown.decoder_rows) << "it sees all";
}

TEST(Masking, WhatIsPredictedDoesNotDependOnTheBatch) {
  const MaskingRules rules{.predict_share = 0.5, .first_kmer = kFirstKmer, .kmers = 4096};
  const MaskingPlan alone = plan_masking(batch_of({{110, 7}}), rules, 1, 1);
  const MaskingPlan among = plan_masking(batch_of({{50, 3}, {110, 7}, {20, 9}}), rules, 1, 1);
  std::vector<std::int32_t> rows;
  for (const std::int32_t row : among.masked_rows) {
    if (row >= 50 && row < 160) rows.push_back(row - 50);
  }
  EXPECT_EQ(rows, alone.masked_rows);
  EXPECT_NE(alone.masked_rows, plan_masking(batch_of({{110, 7}}), rules, 1, 2).masked_rows);
}

TEST(Masking, SpansAreChosenTogether) {
  const PackedBatch batch = batch_of({{110, 3}});
  const MaskingPlan spans =
      plan_masking(batch, {.span = 3, .first_kmer = kFirstKmer, .kmers = 4096}, 1, 1);
  const std::set<std::int32_t> masked(spans.masked_rows.begin(), spans.masked_rows.end());
  std::map<std::int32_t, std::set<bool>> of_span;
  for (std::int32_t row = 0; row < 110; ++row) {
    const auto token = static_cast<std::size_t>(row);
    if (batch.ids[token] >= kFirstKmer) {
      of_span[batch.positions[token] / 3].insert(masked.contains(row));
    }
  }
  for (const auto& [span, fates] : of_span) EXPECT_EQ(fates.size(), 1) << span;
}

// [CLS] at position 0 takes no place in a span: the k-mers behind it are masked in the same runs.
TEST(Masking, SpansBeginBehindCls) {
  TokenSequence kmers;
  kmers.ids.push_back(2);
  kmers.positions.push_back(0);
  for (int i = 0; i < 60; ++i) {
    kmers.ids.push_back(3 + i);
    kmers.positions.push_back(1 + i);
  }
  PackedBatch batch;
  for (std::int32_t record = 0; record < 40; ++record) batch.append(kmers, record);
  MaskingRules rules{.span = 3, .first_position = 1, .first_kmer = 3, .kmers = 4096};
  const MaskingPlan plan = plan_masking(batch, rules, 1, 1);
  const std::set<std::int32_t> masked(plan.masked_rows.begin(), plan.masked_rows.end());
  for (std::int32_t row = 0; row < 40 * 61; ++row) {
    const std::int32_t kmer = row % 61 - 1;
    if (kmer < 0 || kmer % 3 == 2) continue;
    EXPECT_EQ(masked.contains(row), masked.contains(row + 1)) << kmer;
  }
  // Without spans each keeps the number of its position.
  rules.span = 1;
  const MaskingPlan shifted = plan_masking(batch, rules, 1, 1);
  rules.first_position = 0;
  EXPECT_EQ(shifted.masked_rows, plan_masking(batch, rules, 1, 1).masked_rows);
}

TEST(Masking, NextTokensHaveOneBeforeThem) {
  const PackedBatch batch =
      batch_of({{3, 0}, {0, 1}, {1, 2}, {5, 3}});  // token 3 of the last: [UNK]
  const MaskingPlan next = plan_next_tokens(batch, {.first_kmer = kFirstKmer, .kmers = 4096});
  EXPECT_THAT(next.masked_rows, ElementsAre(1, 2, 5, 6, 8));
  EXPECT_EQ(static_cast<std::int64_t>(next.encoder_rows.size()), batch.tokens());
  EXPECT_EQ(next.encoder_begins, batch.begins);
  EXPECT_THAT(next.visible_rows, IsEmpty());
}

TEST(LabelTargets, CountsAnchorsAndDrawsPairs) {
  const std::vector<std::int32_t> labels{0, 0, 1, -1, 1, 2};
  EXPECT_EQ(count_labelled(labels), 5);
  EXPECT_EQ(count_anchors(labels, {}), 4) << "label 2 has no positive";
  EXPECT_EQ(count_anchors(labels, {7, 7, 8, 8, 9, 9}), 2) << "0 and 1 are of one species";
  EXPECT_EQ(count_anchors({3, 3, 3}, {}), 0) << "no negative";
  const std::vector<std::int32_t> pairs = draw_pairs(labels, 6, 1, 1);
  ASSERT_EQ(pairs.size(), 18);
  int alike = 0;
  for (std::size_t p = 0; p < pairs.size(); p += 3) {
    const auto a = static_cast<std::size_t>(pairs[p]), b = static_cast<std::size_t>(pairs[p + 1]);
    EXPECT_EQ(labels[a] == labels[b], pairs[p + 2] == 1);
    EXPECT_GE(labels[a], 0);
    EXPECT_GE(labels[b], 0);
    alike += pairs[p + 2];
  }
  EXPECT_EQ(alike, 2) << "there are no more";
  EXPECT_THAT(draw_pairs({0, -1}, 6, 1, 1), IsEmpty());
}

TEST(Masking, AllAndNothingAreLegal) {
  const PackedBatch batch = batch_of({{30, 0}, {2, 1}});
  EXPECT_THAT(plan(batch, 0).masked_rows, IsEmpty());
  EXPECT_THAT(plan(batch, 1).visible_rows, IsEmpty());
  EXPECT_EQ(plan(batch, 1).encoder_rows.size(), 4);  // the [UNK]
  EXPECT_THAT(plan(PackedBatch{}, 0.5).encoder_begins, ElementsAre(0));
}

}  // namespace
}  // namespace barcodemae
