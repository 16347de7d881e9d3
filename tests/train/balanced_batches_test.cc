// SPDX-License-Identifier: MIT
#include "train/balanced_batches.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "communication/single_process.h"
#include "sequence/writer.h"
#include "temporary_folder.h"
#include "train/batch_source.h"

namespace barcodemae {
namespace {

constexpr int kDrawn = 6;  // 2 genera, 3 barcodes of each

/// Two barcodes of each of 3 species of each of 5 genera.
class BalancedBatches : public testing::Test {
 protected:
  BalancedBatches() {
    set_verbosity(Verbosity::kQuiet);
    std::mt19937 random(1);
    std::vector<Record> records;
    for (int i = 0; i < 35; ++i) {
      Record record;
      record.id = "r" + std::to_string(i);
      record.sequence.assign(60, 'A');
      for (char& base : record.sequence) base = "ACGT"[random() % 4];
      record.label(Rank::kGenus) = "g" + std::to_string(i % 5);
      record.label(Rank::kSpecies) = record.label(Rank::kGenus) + " s" + std::to_string(i % 3);
      record.split = i < 30 ? "pretrain" : "val";
      records.push_back(record);
    }
    RecordWriter writer(folder_ / "data.csv");
    writer.write(writer.encode(records));
    writer.commit();
    data_ = load_training_data(folder_ / "data.csv", options_);
  }

  static std::vector<std::int32_t> records_of(const TrainingStep& step) {
    EXPECT_EQ(step.pieces.size(), 1u);
    return step.pieces.front().batch.records;
  }
  std::set<std::int32_t> labels(std::span<const std::int32_t> records, Rank rank) const {
    std::set<std::int32_t> labels;
    for (const std::int32_t record : records) labels.insert(data_.dataset.label(record, rank));
    return labels;
  }

  TemporaryFolder folder_;
  PretrainOptions options_ = resolve_pretrain_options({{"preset", "tiny"},
                                                       {"batch", "8"},
                                                       {"anchor", "none"},
                                                       {"auxiliary", "genus:triplet:1"},
                                                       {"balanced-batches", "2x3"}});
  TrainingData data_{{}, {}, {KmerTokenizer(KmerVocabulary{}), std::nullopt}, {}, {}};
  SingleProcess alone_;
};

// One step could be right by chance: three barcodes of a genus are of three species in 2 of 5
// draws, and the last two are none of the drawn ones in 5 of 8. Twenty are not.
TEST_F(BalancedBatches, BeginWithDifferentSpeciesOfDifferentGenera) {
  constexpr std::int64_t kSteps = 20;
  BatchSource source(data_, options_, alone_);
  std::vector<std::vector<std::int32_t>> batches;
  std::set<std::vector<std::int32_t>> draws;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const std::vector<std::int32_t> batch = records_of(source.take(step, step + 1 == kSteps));
    ASSERT_EQ(batch.size(), 8u);
    const std::span first(batch.data(), 3), second(batch.data() + 3, 3);
    for (const auto& members : {first, second}) {
      EXPECT_EQ(labels(members, Rank::kGenus).size(), 1u) << step;
      EXPECT_EQ(labels(members, Rank::kSpecies).size(), 3u) << step;
    }
    EXPECT_NE(labels(first, Rank::kGenus), labels(second, Rank::kGenus)) << step;
    EXPECT_EQ(std::set(batch.begin(), batch.end()).size(), 8u) << step;
    draws.emplace(batch.begin(), batch.begin() + kDrawn);
    batches.push_back(batch);
  }
  EXPECT_EQ(draws.size(), kSteps) << "each step draws anew";
  EXPECT_EQ(records_of(source.take(0, true)), batches[0]);
  EXPECT_EQ(records_of(BatchSource(data_, options_, alone_).take(13, true)), batches[13]);
}

TEST_F(BalancedBatches, TheAuxiliaryLossesWarmUp) {
  options_.auxiliary_warmup = 2;  // epochs of 3 steps
  BatchSource source(data_, options_, alone_);
  EXPECT_DOUBLE_EQ(source.take(0, true).auxiliary_scale, 1.0 / 6);
  EXPECT_DOUBLE_EQ(source.take(2, true).auxiliary_scale, 3.0 / 6);
  EXPECT_DOUBLE_EQ(source.take(5, true).auxiliary_scale, 1);
  EXPECT_DOUBLE_EQ(source.take(11, true).auxiliary_scale, 1);
}

}  // namespace
}  // namespace barcodemae
