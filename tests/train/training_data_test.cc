// SPDX-License-Identifier: MIT
#include "train/training_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/error.h"
#include "communication/single_process.h"
#include "process_threads.h"
#include "temporary_folder.h"
#include "train/batch_source.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

std::string random_sequence(std::mt19937& random, std::size_t length) {
  std::string sequence(length, 'A');
  for (char& base : sequence) base = "ACGT"[random() % 4];
  return sequence;
}

/// `count` records of each split, genera g0 … g4 in turn; without labels when `genus` is false.
Dataset make_dataset(const std::vector<std::string>& splits, int count, bool genus = true) {
  std::mt19937 random(1);
  Dataset data;
  for (int i = 0; i < count; ++i) {
    for (const std::string& split : splits) {
      Record record;
      record.id = "r" + std::to_string(data.size());
      record.sequence = random_sequence(random, 60);
      if (genus) record.label(Rank::kGenus) = "g" + std::to_string(i % 5);
      record.split = split;
      data.append(record);
    }
  }
  return data;
}

std::set<std::string> splits_of(const Dataset& data, const std::vector<std::int64_t>& records) {
  std::set<std::string> names;
  for (const std::int64_t record : records) names.insert(data.split(record));
  return names;
}

const std::vector<std::string> kAllSplits = {"pretrain", "train",      "val",
                                             "test",     "val_unseen", "test_unseen"};

TEST(SelectRecords, TrainsOnPretrainAndValidatesOnVal) {
  const Dataset data = make_dataset(kAllSplits, 20);
  const RecordSelection records =
      select_records(data, resolve_pretrain_options({{"preset", "tiny"}}));
  EXPECT_EQ(splits_of(data, records.training), std::set<std::string>{"pretrain"});
  EXPECT_EQ(records.training.size(), 20u);
  EXPECT_EQ(splits_of(data, records.validation), std::set<std::string>{"val"});
  EXPECT_EQ(splits_of(data, records.queries), std::set<std::string>{"val_unseen"});
  EXPECT_EQ(splits_of(data, records.keys), std::set<std::string>{"train"});
}

TEST(SelectRecords, NamedSplitsAreAddedAndSamplesBounded) {
  const Dataset data = make_dataset(kAllSplits, 20);
  const RecordSelection records =
      select_records(data, resolve_pretrain_options({{"preset", "tiny"},
                                                     {"splits", "pretrain,train"},
                                                     {"validate-records", "7"},
                                                     {"validate-queries", "2"}}));
  EXPECT_EQ(records.training.size(), 40u);
  EXPECT_EQ(records.validation.size(), 7u);
  EXPECT_EQ(records.queries.size(), 2u);
  std::set<std::int32_t> genera;
  for (const std::int64_t record : records.queries) {
    genera.insert(data.label(record, Rank::kGenus));
  }
  for (const std::int64_t record : records.keys) {
    EXPECT_TRUE(genera.count(data.label(record, Rank::kGenus)) == 1);
  }
}

TEST(SelectRecords, WithoutSplitsOnePercentIsHeldOut) {
  const Dataset data = make_dataset({""}, 300);
  const auto options = resolve_pretrain_options({{"preset", "tiny"}, {"seed", "3"}});
  const RecordSelection records = select_records(data, options);
  EXPECT_EQ(records.validation.size(), 3u);
  EXPECT_EQ(records.training.size(), 297u);
  std::vector<std::int64_t> both;
  std::set_intersection(records.training.begin(), records.training.end(),
                        records.validation.begin(), records.validation.end(),
                        std::back_inserter(both));
  EXPECT_TRUE(both.empty());
  EXPECT_TRUE(records.queries.empty());
  EXPECT_EQ(select_records(data, options).validation, records.validation);
}

TEST(SelectRecords, ValidationIsHeldOutWhenValIsTrainedOn) {
  const Dataset data = make_dataset({"pretrain", "val"}, 100);
  const RecordSelection records = select_records(
      data, resolve_pretrain_options({{"preset", "tiny"}, {"splits", "pretrain,val"}}));
  EXPECT_EQ(records.training.size() + records.validation.size(), 200u);
  EXPECT_GE(records.validation.size(), 1u);
}

TEST(SelectRecords, OtherSplitsDoNotLessenWhatIsHeldOut) {
  Dataset data = make_dataset({"train"}, 2000);
  std::mt19937 random(2);
  for (int i = 0; i < 20; ++i) {
    Record record;
    record.id = "p" + std::to_string(i);
    record.sequence = random_sequence(random, 60);
    record.split = "pretrain";
    data.append(record);
  }
  const RecordSelection records =
      select_records(data, resolve_pretrain_options({{"preset", "tiny"}}));
  EXPECT_EQ(records.training.size(), 19u);
  EXPECT_EQ(splits_of(data, records.validation), std::set<std::string>{"pretrain"});
}

TEST(PutativeSpecies, AreThoseOfTheBinWhereThereIsNoName) {
  Dataset data;
  const auto append = [&](const std::string& species, const std::string& bin) {
    Record record;
    record.id = "r" + std::to_string(data.size());
    record.sequence = "ACGT";
    record.label(Rank::kSpecies) = species;
    record.label(Rank::kBin) = bin;
    data.append(record);
  };
  append("", "BOLD:A");
  append("Aus a", "BOLD:A");
  append("Aus b", "BOLD:A");  // the BIN's later name
  append("", "BOLD:B");
  append("", "BOLD:B");
  append("", "BOLD:C");
  append("Aus b", "");
  append("", "");
  EXPECT_THAT(putative_species(data), ElementsAre(0, 0, 1, 3, 3, 4, 1, -1));
}

TEST(SelectRecords, RefusesToTrainOnNothing) {
  const auto tiny = resolve_pretrain_options({{"preset", "tiny"}});
  EXPECT_THROW(select_records(make_dataset({"val"}, 5), tiny), UserError);
  EXPECT_THROW(select_records(make_dataset({""}, 1), tiny), UserError);
}

TEST(LoadTrainingData, NamesTheSplitThatIsMissing) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& text, const std::string& splits) {
    std::ofstream(folder / "data.csv") << text;
    std::map<std::string, std::string> given = {{"preset", "tiny"}};
    if (!splits.empty()) given["splits"] = splits;
    return user_error(
        [&] { load_training_data(folder / "data.csv", resolve_pretrain_options(given)); });
  };
  EXPECT_THAT(message("processid,split,dna_barcode\na,train,ACGTACGTACGT\n", ""),
              HasSubstr("pretrain"));
  EXPECT_THAT(message("processid,dna_barcode\na,ACGTACGTACGT\n", "train"), HasSubstr("split"));
}

class BatchSourceTest : public testing::Test {
 protected:
  explicit BatchSourceTest(const std::map<std::string, std::string>& given = {{"preset", "tiny"},
                                                                              {"batch", "8"},
                                                                              {"micro-batch", "3"}})
      : options_(resolve_pretrain_options(given)),
        data_{make_dataset({"pretrain", "val"}, 20),
              "fingerprint",
              {KmerTokenizer(KmerVocabulary{}), std::nullopt},
              {},
              {}} {
    data_.records = select_records(data_.dataset, options_);
    data_.site_log_frequencies.assign(
        static_cast<std::size_t>(options_.model.max_positions * 4 * options_.model.k), -1.0f);
  }

  static std::vector<std::int32_t> records_of(const TrainingStep& step) {
    std::vector<std::int32_t> records;
    for (const MicroBatch& piece : step.pieces) {
      records.insert(records.end(), piece.batch.records.begin(), piece.batch.records.end());
    }
    return records;
  }
  static std::vector<std::int32_t> tokens_of(const TrainingStep& step) {
    std::vector<std::int32_t> tokens;
    for (const MicroBatch& piece : step.pieces) {
      tokens.insert(tokens.end(), piece.batch.ids.begin(), piece.batch.ids.end());
      for (const std::int32_t row : piece.plan.masked_rows) {
        tokens.push_back(-piece.batch.ids[static_cast<std::size_t>(row)]);
      }
    }
    return tokens;
  }

  PretrainOptions options_;
  TrainingData data_;
  SingleProcess alone_;
};

TEST_F(BatchSourceTest, AnEpochHasEveryRecordOnceButTheRest) {
  BatchSource source(data_, options_, alone_);
  ASSERT_EQ(BatchSource::steps_per_epoch(data_, options_), 2);
  std::multiset<std::int32_t> seen;
  for (std::int64_t step = 0; step < 2; ++step) {
    const TrainingStep content = source.take(step, false);
    EXPECT_EQ(content.pieces.size(), 3u);  // 3 + 3 + 2
    for (const std::int32_t record : records_of(content)) seen.insert(record);
  }
  EXPECT_EQ(seen.size(), 16u);
  EXPECT_EQ(std::set<std::int32_t>(seen.begin(), seen.end()).size(), 16u);
  EXPECT_NE(records_of(source.take(2, true)), records_of(source.take(0, true)));
}

TEST_F(BatchSourceTest, AnyStepCanBeTheFirst) {
  BatchSource from_start(data_, options_, alone_), resumed(data_, options_, alone_);
  TrainingStep last;
  for (std::int64_t step = 0; step <= 5; ++step) last = from_start.take(step, step == 5);
  EXPECT_EQ(tokens_of(last), tokens_of(resumed.take(5, true)));
}

TEST_F(BatchSourceTest, MicroBatchesDoNotChangeTokensMasksOrCounts) {
  PretrainOptions whole = options_;
  whole.micro_batch = 8;
  BatchSource source(data_, options_, alone_), whole_source(data_, whole, alone_);
  const TrainingStep pieces = source.take(1, true), one = whole_source.take(1, true);
  ASSERT_EQ(one.pieces.size(), 1u);
  EXPECT_EQ(records_of(pieces), records_of(one));
  EXPECT_EQ(pieces.counts.masked, one.counts.masked);
  EXPECT_EQ(pieces.counts.visible, one.counts.visible);
  EXPECT_NEAR(pieces.site_loss, one.site_loss, 1e-9);
  EXPECT_NEAR(one.site_loss, 6.0 * static_cast<double>(one.counts.masked), 1e-9);
}

TEST_F(BatchSourceTest, ProcessesShareABatchAndKnowItsCounts) {
  BatchSource source(data_, options_, alone_);
  const TrainingStep whole = source.take(1, true);
  constexpr int kProcesses = 3;  // 3 + 3 + 2 of the batch's 8 records
  std::vector<TrainingStep> steps(kProcesses);
  run_processes(kProcesses, [&](Communicator& communicator) {
    BatchSource shared(data_, options_, communicator);
    steps[static_cast<std::size_t>(communicator.rank())] = shared.take(1, true);
  });
  std::vector<std::int32_t> tokens;
  for (const TrainingStep& step : steps) {
    const std::vector<std::int32_t> some = tokens_of(step);
    tokens.insert(tokens.end(), some.begin(), some.end());
    EXPECT_EQ(step.counts.masked, whole.counts.masked);
    EXPECT_EQ(step.counts.visible, whole.counts.visible);
    EXPECT_NEAR(step.site_loss, whole.site_loss, 1e-9);
  }
  EXPECT_EQ(tokens, tokens_of(whole));  // shares happen to be the micro-batches
}

TEST_F(BatchSourceTest, TheMaskRatioTakesItsCourse) {
  options_ = resolve_pretrain_options({{"preset", "tiny"},
                                       {"batch", "8"},
                                       {"micro-batch", "8"},
                                       {"dropout", "0"},
                                       {"masked-weight", "0.9"},
                                       {"mask-ratio", "0.2"},
                                       {"mask-ratio-final", "0.8"},
                                       {"unmasked-tail", "0.2"}});
  constexpr std::int64_t kSteps = 20;  // the last four mask nothing
  constexpr double kNoise = 0.12;      // two standard deviations of 73 tokens
  BatchSource source(data_, options_, alone_, kSteps);
  const auto share = [](const TrainingStep& step) {
    return static_cast<double>(step.counts.masked) /
           static_cast<double>(step.counts.masked + step.counts.visible);
  };
  EXPECT_NEAR(share(source.take(0, true)), 0.2, kNoise);
  EXPECT_NEAR(share(source.take(8, true)), 0.5, kNoise) << "halfway through the masked part";
  EXPECT_GT(share(source.take(15, true)), 0.75 - kNoise);
  EXPECT_EQ(source.take(16, true).counts.masked, 0);
}

TEST_F(BatchSourceTest, RefusesABatchLargerThanTheData) {
  options_.batch = 21;
  EXPECT_THROW(BatchSource::steps_per_epoch(data_, options_), UserError);
}

}  // namespace
}  // namespace barcodemae
