// SPDX-License-Identifier: MIT
#include "data/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "data/packing.h"
#include "records.h"

namespace barcodemae {
namespace {

TEST(EpochOrder, IsAPermutationOfItsOwn) {
  std::vector<std::int64_t> records(1000);
  std::iota(records.begin(), records.end(), 500);
  const auto order = epoch_order(records, 3, 1);
  EXPECT_EQ(epoch_order(records, 3, 1), order);
  EXPECT_NE(epoch_order(records, 3, 2), order);
  EXPECT_NE(epoch_order(records, 4, 1), order);
  EXPECT_NE(order, records);
  auto sorted = order;
  std::ranges::sort(sorted);
  EXPECT_EQ(sorted, records);
  EXPECT_TRUE(epoch_order({}, 1, 1).empty());
}

TEST(HoldOut, KeepsDuplicatesOnOneSide) {
  std::vector<std::string> sequences;
  for (int i = 0; i < 1000; ++i) {
    std::string sequence;
    for (int digit = i / 2; digit > 0; digit /= 4) sequence += "ACGT"[digit % 4];
    sequences.push_back(sequence);  // each twice
  }
  const Dataset data = testing_data::make_dataset(sequences);
  std::vector<std::int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  const HoldOut parts = hold_out(data, all, 0.1, 1);
  EXPECT_EQ(parts.validation.size(), 100);
  EXPECT_EQ(parts.training.size(), 900);
  std::set<std::string> held;
  for (const std::int64_t record : parts.validation) held.insert(data.sequence(record));
  EXPECT_EQ(held.size(), 50);
  for (const std::int64_t record : parts.training)
    EXPECT_FALSE(held.contains(data.sequence(record)));
  EXPECT_EQ(hold_out(data, all, 0.1, 1).validation, parts.validation);
  EXPECT_NE(hold_out(data, all, 0.1, 2).validation, parts.validation);
}

TEST(HoldOut, HoldsOutAtLeastOneOfTwo) {
  const Dataset data = testing_data::make_dataset({"ACGT", "TTTT", "ACGT"});
  const std::vector<std::int64_t> unlike{0, 1}, alike{0, 2};
  EXPECT_EQ(hold_out(data, unlike, 0.01, 1).validation.size(), 1);
  EXPECT_EQ(hold_out(data, alike, 0.01, 1).training, alike);
}

TEST(FrameOffsets, AreUniformAndTheirOwn) {
  std::array<int, 6> counts{};
  const FrameOffsets offsets{true, 1, 1}, next_step{true, 1, 2};
  bool moved = false;
  for (int record = 0; record < 6000; ++record) {
    ++counts[static_cast<std::size_t>(offsets.draw(record, 6))];
    moved = moved || offsets.draw(record, 6) != next_step.draw(record, 6);
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
  EXPECT_TRUE(moved);
  EXPECT_EQ(FrameOffsets{}.draw(5, 6), 0);
}

TEST(Pack, TakesRecordsInOrderWithTheirOffsets) {
  const Dataset data = testing_data::make_dataset({"ACGTACG", "AC", "TTTTTTTTT"});
  KmerVocabulary vocabulary;
  vocabulary.k = 2;
  const SequenceCoder coder{KmerTokenizer(vocabulary), std::nullopt};
  const std::vector<std::int64_t> records{2, 0, 1};
  const FrameOffsets offsets{true, 7, 3};
  const PackedBatch batch = pack(data, coder, records, offsets);
  ASSERT_EQ(batch.sequences(), 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto expected =
        coder.tokenizer.tokenize(data.sequence(records[i]), offsets.draw(records[i], 2));
    EXPECT_EQ(batch.records[i], records[i]);
    EXPECT_EQ(
        std::vector(batch.ids.begin() + batch.begins[i], batch.ids.begin() + batch.begins[i + 1]),
        expected.ids);
  }
}

}  // namespace
}  // namespace barcodemae
