// SPDX-License-Identifier: MIT
#include "finetune/finetune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "backend/backends.h"
#include "base/error.h"
#include "base/log.h"
#include "base/threads.h"
#include "communication/single_process.h"
#include "evaluation/linear.h"
#include "formats/classifier_files.h"
#include "formats/safetensors.h"
#include "process_threads.h"
#include "sequence/writer.h"
#include "temporary_folder.h"
#include "timeless_metrics.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Row {
  std::string species, split;
  int count;
};

class FinetuneTest : public testing::Test {
 protected:
  void SetUp() override {
    set_verbosity(Verbosity::kQuiet);
    threads_ = thread_count();
    write_random_model();
    write_data({{"Aus a", "train", 30},
                {"Aus b", "train", 30},
                {"Bus c", "train", 30},
                {"", "train", 5},
                {"Aus a", "val", 6},
                {"Bus c", "val", 6},
                {"Cus new", "val", 3},
                {"Aus b", "test", 8},
                {"Bus c", "test", 8},
                {"Dus new", "test", 4},
                {"Bus c", "test_unseen", 4}});
    options_.epochs = 6;
    options_.batch = 16;
    options_.micro_batch = 5;
    options_.lr = 1e-2;
    options_.encoder_lr_factor = 0.5;
  }
  void TearDown() override { set_thread_count(threads_); }

  void write_random_model() {
    ModelDescription description;
    description.config.encoder = {32, 1, 4, 64, 1e-12f};
    description.config.decoder = description.config.encoder;
    description.config.k = 3;
    description.config.vocabulary = 66;
    description.config.max_positions = 20;
    description.coder.tokenizer = KmerTokenizer(KmerVocabulary{3, {"[MASK]", "[UNK]"}}, 3, 60);
    const std::unique_ptr<Backend> backend = make_cpu_backend();
    Parameters parameters(*backend);
    const Encoder encoder(parameters, description.config);
    parameters.allocate(/*training=*/false);
    parameters.initialise(77);
    std::filesystem::create_directories(model());
    write_model(model(), description, parameters, /*pretraining=*/false);
  }

  /// Copies of a random sequence for each species with one base in fifty changed.
  void write_data(const std::vector<Row>& rows) {
    std::mt19937 random(5);
    std::map<std::string, std::string> sequences;
    std::vector<Record> records;
    for (const Row& row : rows) {
      std::string& own = sequences[row.species];
      while (own.size() < 60) own += "ACGT"[random() % 4];
      for (int i = 0; i < row.count; ++i) {
        Record record;
        record.id = "r" + std::to_string(records.size());
        record.sequence = own;
        for (char& base : record.sequence) {
          if (random() % 50 == 0) base = "ACGT"[random() % 4];
        }
        record.label(Rank::kGenus) = row.species.substr(0, row.species.find(' '));
        record.label(Rank::kSpecies) = row.species;
        record.split = row.split;
        records.push_back(record);
      }
    }
    RecordWriter writer(data());
    writer.write(writer.encode(records));
    writer.commit();
  }

  /// One sitting; stops before step `stop_at`.
  std::optional<FinetuneResult> tune(const std::string& out, std::int64_t stop_at = -1) {
    const std::unique_ptr<Backend> backend = make_cpu_backend();
    SingleProcess alone;
    return finetune(
        model(), data(), folder_ / out, options_, *backend,
        [&](std::int64_t step) { return step == stop_at; }, alone);
  }
  std::string refusal(const std::string& out = "refused") {
    return user_error([&] { tune(out); });
  }

  static nlohmann::json timeless(const FinetuneResult& result) {
    nlohmann::json json = result.to_json();
    json["rows"][0].erase("seconds");
    return json;
  }
  void expect_same_files(const std::string& a, const std::string& b) {
    for (const char* file :
         {"model.safetensors", "classifier.safetensors", "classes.json", "config.json",
          "last/model.safetensors", "last/classifier.safetensors"}) {
      const std::string expected = read_file(folder_ / (a + "/" + file));
      EXPECT_FALSE(expected.empty()) << file;
      EXPECT_TRUE(expected == read_file(folder_ / (b + "/" + file))) << file << " differs";
    }
    EXPECT_EQ(timeless_metrics(folder_ / a), timeless_metrics(folder_ / b));
  }

  std::filesystem::path model() const { return folder_ / "model"; }
  std::filesystem::path data() const { return folder_ / "data.csv"; }

  TemporaryFolder folder_;
  FinetuneOptions options_;
  int threads_ = 1;
};

TEST_F(FinetuneTest, LearnsSpeciesAndCountsThoseItCannotKnow) {
  options_.random_head = true;  // a probe's knows them all
  const std::optional<FinetuneResult> result = tune("run");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->classes, 3);
  EXPECT_EQ(result->train_count, 90);
  EXPECT_EQ(result->left_out, 5);
  EXPECT_EQ(result->val_unknown, 3);
  EXPECT_EQ(result->scores.queries, 20);
  EXPECT_EQ(result->scores.unreachable, 4);
  EXPECT_EQ(result->scores.correct, 16) << "all that can be known";
  EXPECT_DOUBLE_EQ(result->validation_accuracy, 12.0 / 15) << "unknown species count as wrong";
  EXPECT_LT(result->epochs.back().training_loss, result->epochs[1].training_loss);
  EXPECT_THAT(result->to_text(), HasSubstr("4 test records have a label that is not trained on"));
  EXPECT_THAT(result->class_table(), HasSubstr(",Aus b,8,8,1.0"));
  EXPECT_THAT(result->record_table(), HasSubstr(",Aus b,Aus b\n"));
  const auto json = result->to_json();
  EXPECT_EQ(json["rows"][0]["epochs"].size(), result->epochs.size());
  EXPECT_TRUE(json["rows"][0]["epochs"][0]["loss"].is_null()) << "nothing was trained yet";
  EXPECT_EQ(json["rows"][0]["label_not_among_keys"], 4);

  const ClassifierHead head = read_classifier(folder_ / "run", 32);
  EXPECT_THAT(head.classes, ElementsAre("Aus a", "Aus b", "Bus c"));
  Embedder embedder = Embedder::load(folder_ / "run", {});
  EXPECT_EQ(embedder.width(), 32);
  EXPECT_THAT(read_file(folder_ / "run/report.html"), HasSubstr("Accuracy"));
}

TEST_F(FinetuneTest, ResumedAnywhereWithOtherThreadsEndsBitForBitTheSame) {
  options_.patience = 0;
  options_.epochs = 4;
  set_thread_count(1);
  const auto whole = tune("whole");
  ASSERT_TRUE(whole);
  for (const std::int64_t stop : {0, 3, 5, 9, 10, 15, 19}) {  // five steps an epoch
    set_thread_count(1 + static_cast<int>(stop % 3));
    EXPECT_FALSE(tune("parts", stop)) << stop;
  }
  const auto parts = tune("parts");
  ASSERT_TRUE(parts);
  expect_same_files("whole", "parts");
  EXPECT_EQ(timeless(*whole), timeless(*parts));
}

TEST_F(FinetuneTest, WhatWasWrittenAfterTheCheckpointIsForgotten) {
  options_.patience = 0;
  options_.epochs = 4;
  ASSERT_TRUE(tune("whole"));
  EXPECT_FALSE(tune("killed", 7));
  // As if the process had gone on, with a better epoch, and then been killed without a checkpoint.
  std::filesystem::copy(folder_ / "killed/checkpoints", folder_ / "checkpoints",
                        std::filesystem::copy_options::recursive);
  EXPECT_FALSE(tune("killed", 17));
  std::filesystem::remove_all(folder_ / "killed/checkpoints");
  std::filesystem::rename(folder_ / "checkpoints", folder_ / "killed/checkpoints");
  ASSERT_TRUE(tune("killed"));
  expect_same_files("whole", "killed");
  // Or before its first checkpoint.
  EXPECT_FALSE(tune("early", 7));
  std::filesystem::remove_all(folder_ / "early/checkpoints");
  ASSERT_TRUE(tune("early"));
  expect_same_files("whole", "early");
}

TEST_F(FinetuneTest, StopsWhenValHasNotImprovedAndKeepsTheBest) {
  options_.lr = 1e-14;  // too little for any weight: the beginning remains the best
  options_.patience = 2;
  options_.warmup = 0;
  const auto result = tune("run");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->best_epoch, 0);
  EXPECT_EQ(result->epochs.back().epoch, 2);
  options_.warmup = 0.5;  // of six epochs; patience begins where the rate no longer rises
  EXPECT_EQ(tune("warming up")->epochs.back().epoch, 5);
  options_.patience = 0;
  EXPECT_EQ(tune("to the end")->epochs.back().epoch, 6);
  EXPECT_EQ(tune("to the end")->best_epoch, 0);
}

TEST_F(FinetuneTest, BeginsWithTheHeadOfALinearProbeUnlessItIsToBeRandom) {
  LinearOptions linear;
  linear.features.pooling = "mean";
  linear.baselines = false;
  SingleProcess alone;
  const LinearRow probe = evaluate_linear(model(), data(), linear, alone).rows.front();
  options_.lr = 1e-14;
  options_.epochs = 1;
  const auto result = tune("run");
  EXPECT_EQ(result->epochs.front().epoch, 0);
  EXPECT_EQ(result->epochs.front().validation_accuracy, 12.0 / 15) << "all that can be known";
  EXPECT_EQ(result->answers, probe.answers);
  options_.from_scratch = true;
  EXPECT_LT(tune("scratch")->epochs.front().validation_accuracy, 12.0 / 15);
  options_.from_scratch = false;
  options_.random_head = true;
  EXPECT_LT(tune("random")->epochs.front().validation_accuracy, 12.0 / 15);
}

TEST_F(FinetuneTest, OfEquallyAccurateEpochsTheOneWithLessLossIsKept) {
  options_.patience = 0;
  const auto result = tune("run");
  ASSERT_TRUE(result);
  const FinetuneEpoch* best = &result->epochs.front();
  int as_accurate = 0;
  for (const FinetuneEpoch& epoch : result->epochs) {
    if (epoch.validation_accuracy == result->validation_accuracy) ++as_accurate;
    if (epoch.validation_accuracy > best->validation_accuracy ||
        (epoch.validation_accuracy == best->validation_accuracy &&
         epoch.validation_loss < best->validation_loss)) {
      best = &epoch;
    }
  }
  EXPECT_GT(as_accurate, 1) << "else this test says nothing";
  EXPECT_EQ(result->best_epoch, best->epoch);
}

TEST_F(FinetuneTest, BeginsWithTheModelUnlessFromScratch) {
  options_.lr = 1e-9;
  options_.epochs = 1;
  options_.weight_decay = 0;
  const auto words = [](const std::filesystem::path& folder) {
    return SafetensorsFile(folder / "model.safetensors")
        .floats("embeddings.word_embeddings.weight", 66, 32);
  };
  const std::vector<float> begun = words(model());
  const auto far = [&](const std::vector<float>& other) {
    double most = 0;
    for (std::size_t i = 0; i < begun.size(); ++i) {
      most = std::max(most, std::abs(double{begun[i]} - other[i]));
    }
    return most;
  };
  ASSERT_TRUE(tune("run"));
  EXPECT_LT(far(words(folder_ / "run")), 1e-6);
  options_.from_scratch = true;
  ASSERT_TRUE(tune("scratch"));
  EXPECT_GT(far(words(folder_ / "scratch")), 0.01);
}

TEST_F(FinetuneTest, AFrozenEncoderIsTheModels) {
  options_.encoder_lr_factor = 0;
  options_.epochs = 2;
  ASSERT_TRUE(tune("run"));
  const SafetensorsFile before(model() / "model.safetensors");
  const SafetensorsFile after(folder_ / "run/last/model.safetensors");
  for (const auto& [name, entry] : before.entries()) {
    const auto a = before.bytes(name), b = after.bytes(name);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << name;
  }
}

TEST_F(FinetuneTest, AFinishedRunAnswersForOtherSplitsButNotOtherOptions) {
  options_.epochs = 2;
  const auto first = tune("run");
  ASSERT_TRUE(first);
  const std::string weights = read_file(folder_ / "run/model.safetensors");
  const auto again = tune("run", 0);  // there is nothing left to interrupt
  ASSERT_TRUE(again);
  EXPECT_EQ(timeless(*first), timeless(*again));
  options_.test = "test_unseen";
  EXPECT_EQ(tune("run")->scores.queries, 4);
  EXPECT_EQ(read_file(folder_ / "run/model.safetensors"), weights);
  options_.seed = 9;
  EXPECT_THAT(refusal("run"), HasSubstr("--seed 1 there, --seed 9 now"));
  options_.seed = 1;
  EXPECT_THAT(refusal("model"), HasSubstr("Give another folder"));
}

TEST_F(FinetuneTest, TwoProcessesAgreeAndComeOutAsOne) {
  options_.epochs = 4;
  const auto alone = tune("alone");
  std::mutex mutex;
  std::vector<FinetuneResult> results;
  run_processes(2, [&](ProcessThread& process) {
    const std::unique_ptr<Backend> backend = make_cpu_backend();
    auto result = finetune(
        model(), data(), folder_ / "together", options_, *backend,
        [](std::int64_t) { return false; }, process);
    const std::lock_guard lock(mutex);
    results.push_back(*result);
  });
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].scores.correct, results[1].scores.correct);
  EXPECT_EQ(results[0].scores.correct, alone->scores.correct);
  EXPECT_EQ(results[0].validation_accuracy, alone->validation_accuracy);
}

TEST_F(FinetuneTest, WhatCannotBeLearntIsRefused) {
  options_.val = "other";
  EXPECT_THAT(refusal(), HasSubstr("--val other: no record of this split"));
  options_.val = "train";
  EXPECT_THAT(refusal(), HasSubstr("what is trained on says nothing about stopping"));
  options_.val = "val";
  options_.batch = 91;
  EXPECT_THAT(refusal(), HasSubstr("--batch 91 is more than the 90 barcodes"));
  options_.batch = 16;
  const std::vector<Row> rest = {{"Aus a", "val", 3}, {"Aus a", "test", 3}};
  const auto with = [&](std::vector<Row> rows) {
    rows.insert(rows.end(), rest.begin(), rest.end());
    write_data(rows);
    return refusal("refused" + std::to_string(rows.size()));
  };
  EXPECT_THAT(with({{"Aus a", "train", 30}}), HasSubstr("all have the same species, Aus a"));
  EXPECT_THAT(with({{"", "train", 30}, {"", "train", 2}}),
              HasSubstr("no record of split train has a species label"));
  EXPECT_THAT(with({{"Bus b", "train", 30}, {"Bus c", "train", 30}, {"Bus b", "test", 1}}),
              HasSubstr("--val val: not one has a species that occurs among --train train"));
}

}  // namespace
}  // namespace barcodemae
