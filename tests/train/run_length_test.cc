// SPDX-License-Identifier: MIT
#include "train/run_length.h"

#include <gtest/gtest.h>

namespace barcodemae {
namespace {

RecordSelection make_selection(std::size_t validation, std::size_t embedded) {
  RecordSelection records;
  records.validation.resize(validation);
  records.queries.resize(embedded / 2);
  records.keys.resize(embedded / 2);
  return records;
}

TEST(RunLength, EpochsAreWholeBatches) {
  PretrainOptions options = resolve_pretrain_options({{"preset", "tiny"}, {"epochs", "2.5"}});
  EXPECT_EQ(steps_asked_for(options, 7), 17);
  options.epochs = 1e-3;
  EXPECT_EQ(steps_asked_for(options, 7), 1);
  EXPECT_EQ(steps_asked_for(resolve_pretrain_options({{"steps", "12"}}), 7), 12);
}

TEST(RunLength, ValidationsAreFewAndCheap) {
  const PretrainOptions options = resolve_pretrain_options({{"preset", "small"}, {"batch", "128"}});
  EXPECT_EQ(validation_interval(options, make_selection(10, 0), 100'000), 5000);
  // 2,000 + 5,000 barcodes forward only cost about what 17 steps of 128 do.
  const std::int64_t interval = validation_interval(options, make_selection(2000, 5000), 1000);
  EXPECT_GT(interval, 100);
  EXPECT_LT(interval, 250);
  EXPECT_EQ(validation_interval(options, make_selection(2000, 5000), 20), 20);
  EXPECT_EQ(validation_interval(resolve_pretrain_options({{"validate-every", "3"}}),
                                make_selection(2000, 5000), 20),
            3);
}

// Which asks for all that is masked, while a step asks for less.
TEST(RunLength, ValidationCostsMoreBesideStepsThatPredictLess) {
  const auto interval = [](const char* share) {
    return validation_interval(
        resolve_pretrain_options({{"preset", "small"}, {"predict-share", share}}),
        make_selection(2000, 5000), 1'000);
  };
  EXPECT_GT(interval("0.2"), interval("1"));
}

// Whose barcodes are as long as the model has positions, whatever frame offsets are drawn.
TEST(RunLength, ValidationsOfBytePairsDoNotCostWhatKmersDo) {
  PretrainOptions options = resolve_pretrain_options({{"preset", "small"}, {"mask-ratio", "0.3"}});
  options.tokenizer = "pairs.json";
  const RecordSelection records = make_selection(2'000'000, 0);
  const auto interval = [&](int k) {
    options.stride = k;
    return validation_interval(options, records, 1'000'000);
  };
  EXPECT_EQ(interval(10), interval(6));
  options.tokenizer.clear();
  EXPECT_NE(interval(10), interval(6)) << "19 of 66 tokens are masked, and 33 of 110";
}

TEST(RunLength, StepsFillTheTimeWithTheirValidations) {
  const PretrainOptions options =
      resolve_pretrain_options({{"preset", "tiny"}, {"minutes", "1"}, {"validate-every", "10"}});
  const RecordSelection records = make_selection(10, 0);
  // 1 s a step, 5 s a validation: before the first step, then every ten.
  EXPECT_EQ(steps_within(34, 1, 5, options, records), 19);
  EXPECT_EQ(steps_within(35, 1, 5, options, records), 20);
  EXPECT_EQ(steps_within(36, 1, 5, options, records), 20);
  EXPECT_EQ(steps_within(0, 1, 5, options, records), 1);
}

}  // namespace
}  // namespace barcodemae
