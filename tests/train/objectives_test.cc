// SPDX-License-Identifier: MIT
// Whole trainings of every objective.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "formats/model_directory.h"
#include "pretrain_fixture.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

class ObjectiveTraining : public PretrainTest {
 protected:
  std::string device() const override { return "cpu"; }
  Given with_objective(Given changes) const {
    changes["objective"] = GetParam();
    if (GetParam() == "mlm" || GetParam() == "causal") changes["decoder-layers"] = "";
    if (GetParam() == "causal") changes["masked-weight"] = "";
    return changes;
  }
};

INSTANTIATE_TEST_SUITE_P(All, ObjectiveTraining,
                         testing::Values("mae", "mae-masked", "mlm", "causal"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(ObjectiveTraining, LearnsMoreThanTheSitesFrequencies) {
  EXPECT_EQ(train("run", with_objective({{"steps", "200"},
                                         {"validate-every", "100"},
                                         {"micro-batch", "16"},
                                         {"dropout", "0"}})),
            PretrainOutcome::kFinished);
  const std::string task = GetParam() == "causal" ? "next_token" : "masked";
  const std::vector<nlohmann::json> validations = metrics("run", "validation");
  ASSERT_EQ(validations.size(), 3u);
  const nlohmann::json &first = validations.front(), &last = validations.back();
  EXPECT_NEAR(first[task + "_loss"], first["site_frequency_loss"], 0.1);
  EXPECT_LT(last[task + "_loss"].get<double>(), 0.6 * last["site_frequency_loss"].get<double>());
  EXPECT_GT(last[task + "_accuracy"].get<double>(), first[task + "_accuracy"].get<double>() + 0.3);
  EXPECT_GT(last["genus_accuracy"].get<double>(), 0.9);
  EXPECT_EQ(to_string(read_model_description(folder_ / "run").config.objective), GetParam());
  const std::string report = read_file(folder_ / "run/report.html");
  EXPECT_THAT(report, HasSubstr(GetParam() == "causal" ? "Next-token loss" : "Masked loss"));
}

TEST_P(ObjectiveTraining, ResumedAnywhereWithOtherThreadsEndsBitForBitTheSame) {
  set_thread_count(1);
  EXPECT_EQ(train("whole", with_objective({})), PretrainOutcome::kFinished);
  for (const std::int64_t stop : {3, 7, 12}) {
    set_thread_count(1 + static_cast<int>(stop % 3));
    EXPECT_EQ(train("parts", with_objective({}), stop), PretrainOutcome::kInterrupted) << stop;
  }
  EXPECT_EQ(train("parts", with_objective({})), PretrainOutcome::kFinished);
  expect_same_result("whole", "parts");
  EXPECT_THAT(error_of("parts", {{"objective", GetParam() == "mlm" ? "causal" : "mlm"},
                                 {"decoder-layers", ""},
                                 {"masked-weight", ""}}),
              HasSubstr("--objective " + GetParam() + " there"));
}

// The aids of short trainings are the same for all.
TEST_P(ObjectiveTraining, TakesEveryHeadAndInitialisation) {
  for (const char* head : {"kmer", "base"}) {
    for (const char* words : {"random", "bases"}) {
      const std::string out = std::string(head) + words;
      EXPECT_EQ(train(out, with_objective({{"steps", "2"}, {"head", head}, {"kmer-init", words}})),
                PretrainOutcome::kFinished);
      EXPECT_GT(metrics(out, "train").back()["gradient_norm"].get<double>(), 0);
    }
  }
}

TEST_P(ObjectiveTraining, TakesKmersThatOverlap) {
  Given overlapping = {{"stride", "1"},
                       {"max-positions", "64"},
                       {"steps", "200"},
                       {"validate-every", "200"},
                       {"dropout", "0"}};
  if (GetParam() != "causal") overlapping["mask-span"] = "3";  // else neighbours tell it all
  EXPECT_EQ(train("run", with_objective(overlapping)), PretrainOutcome::kFinished);
  EXPECT_EQ(read_model_description(folder_ / "run").coder.tokenizer.stride(), 1);
  const std::string accuracy = GetParam() == "causal" ? "next_token_accuracy" : "masked_accuracy";
  const std::vector<nlohmann::json> validations = metrics("run", "validation");
  EXPECT_GT(validations.back()[accuracy].get<double>(),
            validations.front()[accuracy].get<double>() + 0.1);
}

TEST_P(ObjectiveTraining, APredictedShareIsRememberedAndValidationPredictsAll) {
  Given half = {{"predict-share", "0.5"}, {"log-every", "1"}};
  if (GetParam() == "causal") {
    EXPECT_THAT(error_of("run", with_objective(half)),
                HasSubstr("--predict-share: --objective causal masks nothing"));
    return;
  }
  half = with_objective(half);
  EXPECT_EQ(train("whole", half), PretrainOutcome::kFinished);
  EXPECT_EQ(train("parts", half, 9), PretrainOutcome::kInterrupted);
  EXPECT_THAT(error_of("parts", with_objective({{"log-every", "1"}})),
              HasSubstr("--predict-share 0.5 there, --predict-share 1"));
  EXPECT_EQ(train("parts", half), PretrainOutcome::kFinished);
  expect_same_result("whole", "parts");
  EXPECT_EQ(train("all", with_objective({{"log-every", "1"}})), PretrainOutcome::kFinished);
  // Before the first step both are asked the same; the first step is another.
  EXPECT_EQ(metrics("whole", "validation").front()["masked_loss"],
            metrics("all", "validation").front()["masked_loss"]);
  EXPECT_NE(metrics("whole", "train").front()["masked_loss"],
            metrics("all", "train").front()["masked_loss"]);
  EXPECT_EQ(train("one", with_objective({{"log-every", "1"}, {"predict-share", "1"}})),
            PretrainOutcome::kFinished);
  expect_same_result("all", "one");
}

class AuxiliaryTraining : public PretrainTest {
 protected:
  std::string device() const override { return "cpu"; }
  Given with_loss(Given changes = {}) const {
    changes["auxiliary"] = "genus:" + GetParam() + ":0.5,family:cross-entropy:0.1";
    changes["micro-batch"] = "";
    changes["balanced-batches"] = "2x4";
    changes["auxiliary-warmup"] = "0.2";
    changes["cls"] = "true";
    changes["max-positions"] = "24";
    changes["pooling"] = "both";
    return changes;
  }
};

INSTANTIATE_TEST_SUITE_P(All, AuxiliaryTraining,
                         testing::Values("cross-entropy", "contrastive", "contrastive-others",
                                         "triplet", "pair"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(AuxiliaryTraining, LearnsTheLabelsAndIsResumedToTheSameBits) {
  set_thread_count(1);
  const Given longer = with_loss({{"steps", "60"}, {"validate-every", "60"}});
  EXPECT_EQ(train("whole", longer), PretrainOutcome::kFinished);
  for (const std::int64_t stop : {2, 13, 44}) {
    set_thread_count(1 + static_cast<int>(stop % 3));
    EXPECT_EQ(train("parts", longer, stop), PretrainOutcome::kInterrupted) << stop;
  }
  EXPECT_EQ(train("parts", longer), PretrainOutcome::kFinished);
  expect_same_result("whole", "parts");
  const std::vector<nlohmann::json> lines = metrics("whole", "train");
  const std::string key = "genus_" + GetParam();
  EXPECT_LT(lines.back()[key + "_loss"].get<double>(), lines.front()[key + "_loss"].get<double>());
  if (GetParam() != "triplet") {  // whose hardest pairs are first drawn together, all alike
    EXPECT_GT(lines.back()[key + "_accuracy"].get<double>(), 0.9);
  }
  EXPECT_TRUE(lines.back().contains("family_cross-entropy_loss"));
  const auto labels = nlohmann::json::parse(read_file(folder_ / "whole/labels.json"));
  EXPECT_THAT(labels["genus"], testing::UnorderedElementsAre("g0", "g1"));
  EXPECT_EQ(labels["family"].size(), 2u);
  const ModelConfig config = read_model_description(folder_ / "whole").config;
  EXPECT_TRUE(config.cls);
  EXPECT_EQ(config.pooling, Pooling::kBoth);
  EXPECT_THAT(read_file(folder_ / "whole/report.html"), HasSubstr("Auxiliary loss: " + key));
}

using AuxiliaryErrors = AuxiliaryTraining;
INSTANTIATE_TEST_SUITE_P(One, AuxiliaryErrors, testing::Values("contrastive"));

TEST_P(AuxiliaryErrors, SayWhatTheDataLacks) {
  EXPECT_THAT(error_of("run", {{"auxiliary", "order:cross-entropy:0.1"}}),
              testing::AllOf(HasSubstr("--auxiliary order: 0 of the"), HasSubstr("of 0 classes")));
  EXPECT_THAT(error_of("run", {{"auxiliary", "class:cross-entropy:0.1"}}),
              HasSubstr("of 1 class\n"));
  EXPECT_THAT(
      error_of("run", {{"auxiliary", "genus:cross-entropy:0.1"}, {"balanced-batches", "3x4"}}),
      HasSubstr("only 2 classes of rank genus have two barcodes"));
}

}  // namespace
}  // namespace barcodemae
