// SPDX-License-Identifier: MIT
#include "train/pretrain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "formats/safetensors.h"
#include "pretrain_fixture.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

INSTANTIATE_TEST_SUITE_P(Device, PretrainTest, testing::Values("reference", "cpu"),
                         [](const auto& test) { return test.param; });

TEST_P(PretrainTest, LearnsMoreThanTheSitesFrequencies) {
  EXPECT_EQ(
      train("run",
            {{"steps", "200"}, {"validate-every", "100"}, {"micro-batch", "16"}, {"dropout", "0"}}),
      PretrainOutcome::kFinished);
  const std::vector<nlohmann::json> validations = metrics("run", "validation");
  ASSERT_EQ(validations.size(), 3u);
  const nlohmann::json &first = validations.front(), &last = validations.back();
  // A head per base starts with the sites' frequencies.
  EXPECT_NEAR(first["masked_loss"], first["site_frequency_loss"], 0.1);
  EXPECT_LT(last["masked_loss"].get<double>(), 0.5 * last["site_frequency_loss"].get<double>());
  EXPECT_GT(last["masked_accuracy"].get<double>(), first["masked_accuracy"].get<double>() + 0.4);
  EXPECT_GT(last["genus_accuracy"].get<double>(), 0.9);
  EXPECT_GT(last["effective_rank"].get<double>(), 1);
  EXPECT_THAT(read_file(folder_ / "run/report.html"), HasSubstr("Masked loss"));
}

TEST_P(PretrainTest, ResumedAnywhereWithOtherThreadsEndsBitForBitTheSame) {
  set_thread_count(1);
  EXPECT_EQ(train("whole"), PretrainOutcome::kFinished);
  // Step 7 and 14 are validated; 5 and 10 end an interval of the log.
  for (const std::int64_t stop : {0, 3, 5, 6, 7, 14, 19}) {
    set_thread_count(1 + static_cast<int>(stop % 3));
    EXPECT_EQ(train("parts", {}, stop), PretrainOutcome::kInterrupted) << stop;
  }
  EXPECT_EQ(train("parts"), PretrainOutcome::kFinished);
  expect_same_result("whole", "parts");
}

TEST_P(PretrainTest, WhatWasWrittenAfterTheCheckpointIsForgotten) {
  EXPECT_EQ(train("whole"), PretrainOutcome::kFinished);
  EXPECT_EQ(train("killed", {}, 8), PretrainOutcome::kInterrupted);
  // As if the process had gone on for some steps and then been killed without a checkpoint.
  std::filesystem::copy(folder_ / "killed/checkpoints", folder_ / "checkpoints",
                        std::filesystem::copy_options::recursive);
  EXPECT_EQ(train("killed", {}, 16), PretrainOutcome::kInterrupted);
  std::filesystem::remove_all(folder_ / "killed/checkpoints");
  std::filesystem::rename(folder_ / "checkpoints", folder_ / "killed/checkpoints");
  EXPECT_EQ(train("killed"), PretrainOutcome::kFinished);
  expect_same_result("whole", "killed");
}

TEST_P(PretrainTest, AFinishedRunIsNotRunAgain) {
  EXPECT_EQ(train("run", {{"steps", "3"}}), PretrainOutcome::kFinished);
  const std::string model = read_file(folder_ / "run/model.safetensors");
  EXPECT_EQ(train("run", {{"steps", "3"}}), PretrainOutcome::kAlreadyFinished);
  EXPECT_EQ(read_file(folder_ / "run/model.safetensors"), model);
  EXPECT_THAT(error_of("run", {{"steps", "4"}}), HasSubstr("--steps 3 there, --steps 4 now"));
  EXPECT_THAT(error_of("run", {{"steps", "3"}, {"seed", "9"}}), HasSubstr("--seed 9"));
  EXPECT_EQ(train("run", {{"steps", "3"}, {"checkpoint-minutes", "1"}}),
            PretrainOutcome::kAlreadyFinished);
  write_barcodes(data(), 401);
  EXPECT_THAT(error_of("run", {{"steps", "3"}}), HasSubstr("DATA"));
}

TEST_P(PretrainTest, BegunAgainItForgetsTheCheckpointsOfTheRunBefore) {
  const Given shorter = {{"steps", "6"}, {"seed", "9"}};
  EXPECT_EQ(train("whole", shorter), PretrainOutcome::kFinished);
  EXPECT_EQ(train("again", {}, 14), PretrainOutcome::kInterrupted);
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "again")) {
    if (entry.is_regular_file()) std::filesystem::remove(entry.path());  // rm -f DIR/*
  }
  EXPECT_EQ(train("again", shorter), PretrainOutcome::kFinished);
  expect_same_result("whole", "again");
}

TEST_P(PretrainTest, PresentsTheBestModelAndKeepsTheLast) {
  // The first step throws the weights to 1e38; the others are skipped. The best is the beginning.
  EXPECT_EQ(train("run", {{"steps", "5"},
                          {"validate-every", "5"},
                          {"schedule", "constant"},
                          {"warmup", "0"},
                          {"lr", "1e38"}}),
            PretrainOutcome::kFinished);
  const auto facts = [&](const std::string& file) {
    return nlohmann::json::parse(read_file(folder_ / file))["barcodemae"]["training"];
  };
  EXPECT_EQ(facts("run/config.json")["checkpoint"], "best");
  EXPECT_EQ(facts("run/config.json")["step"], 0);
  EXPECT_EQ(facts("run/last/config.json")["checkpoint"], "last");
  EXPECT_EQ(facts("run/last/config.json")["step"], 5);
  EXPECT_TRUE(read_file(folder_ / "run/model.safetensors") !=
              read_file(folder_ / "run/last/model.safetensors"));
  const auto run = nlohmann::json::parse(read_file(folder_ / "run/run.json"));
  EXPECT_EQ(run["result"]["best_step"], 0);
  EXPECT_EQ(run["result"]["skipped_steps"], 4);
  EXPECT_TRUE(metrics("run", "validation").back()["effective_rank"].is_null());
}

TEST_P(PretrainTest, AReportThatCannotBeWrittenEndsNoTraining) {
  std::filesystem::create_directories(folder_ / "run/report.html");
  EXPECT_EQ(train("run", {{"steps", "2"}}), PretrainOutcome::kFinished);
}

TEST_P(PretrainTest, ABatchBeyondTheDataIsRefusedBeforeItsMemoryIsPlanned) {
  EXPECT_THAT(error_of("run", {{"batch", "1000000"}, {"micro-batch", "1000000"}}),
              HasSubstr("Give a smaller --batch"));
}

TEST_P(PretrainTest, MicroBatchesAddUpToTheBatch) {
  const Given options = {{"steps", "4"}, {"dropout", "0.1"}};
  Given whole = options;
  whole["micro-batch"] = "16";
  EXPECT_EQ(train("pieces", options), PretrainOutcome::kFinished);
  EXPECT_EQ(train("whole", whole), PretrainOutcome::kFinished);
  const SafetensorsFile a(folder_ / "pieces/last/model.safetensors");
  const SafetensorsFile b(folder_ / "whole/last/model.safetensors");
  for (const auto& [name, entry] : a.entries()) {
    const std::int64_t rows = entry.shape.size() == 2 ? entry.shape[0] : 1;
    const std::vector<float> x = a.floats(name, rows, entry.shape.back());
    const std::vector<float> y = b.floats(name, rows, entry.shape.back());
    // Keys' biases have no gradient but rounding noise, which Adam magnifies.
    if (name.find("key.bias") != std::string::npos) continue;
    double difference = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      difference = std::max(difference, std::abs(double{x[i]} - y[i]));
    }
    EXPECT_LT(difference, 2e-4) << name;
  }
}

TEST_P(PretrainTest, NonFiniteStepsStopTheRunAtTheTenth) {
  // Weights of 1e38 after the first step; no step after it is finite.
  const std::string message =
      error_of("run", {{"lr", "1e38"}, {"schedule", "constant"}, {"warmup", "0"}, {"steps", "50"}});
  EXPECT_THAT(message, HasSubstr("10 steps in a row"));
  EXPECT_THAT(message, HasSubstr("--lr"));
  const std::vector<nlohmann::json> lines = metrics("run", "train");
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back()["step"], 11);
  EXPECT_EQ(lines.back()["skipped_steps"], 10);
  EXPECT_TRUE(lines.back()["masked_loss"].is_null()) << "of steps 11 alone";
  EXPECT_TRUE(lines.back()["gradient_norm"].is_null());
}

TEST_P(PretrainTest, MinutesAreTurnedIntoStepsOnceAndStored) {
  const Given minutes = {{"steps", ""}, {"minutes", "0.02"}};
  EXPECT_EQ(train("run", minutes, 0), PretrainOutcome::kInterrupted);
  const auto steps = [&] {
    return nlohmann::json::parse(read_file(folder_ / "run/run.json"))["total_steps"].get<int>();
  };
  const int fixed = steps();
  EXPECT_GE(fixed, 1);
  EXPECT_EQ(train("run", minutes), PretrainOutcome::kFinished);
  EXPECT_EQ(steps(), fixed);
  EXPECT_EQ(metrics("run", "train").back()["step"], fixed);
  // The steps that were timed left no trace.
  EXPECT_EQ(train("plain", {{"steps", std::to_string(fixed)}}), PretrainOutcome::kFinished);
  EXPECT_TRUE(read_file(folder_ / "run/last/model.safetensors") ==
              read_file(folder_ / "plain/last/model.safetensors"));
}

TEST_P(PretrainTest, ObjectivesOfEqualCostTakeStepsByTheirOperations) {
  const auto steps = [&](const std::string& run, const Given& options) {
    EXPECT_EQ(train(run, options, 0), PretrainOutcome::kInterrupted);
    return nlohmann::json::parse(read_file(folder_ / run / "run.json"))["total_steps"].get<int>();
  };
  const Given cost = {{"steps", ""}, {"petaflops", "1e-6"}};
  const int mae = steps("mae", cost);
  Given more = cost;
  more["petaflops"] = "1e-5";
  EXPECT_NEAR(steps("more", more), 10 * mae, 10);
  Given seeing = cost;  // all tokens go through its encoder
  seeing["objective"] = "mae-masked";
  EXPECT_LT(steps("seeing", seeing), 0.9 * mae);
}

TEST(NonFiniteGuard, CountsAndForgivesAfterAGoodStep) {
  TrainingState state;
  for (int i = 0; i < 9; ++i) NonFiniteGuard::note(state, false);
  NonFiniteGuard::note(state, true);
  EXPECT_EQ(state.skipped, 9);
  EXPECT_EQ(state.updates, 1);
  EXPECT_EQ(state.step, 10);
  for (int i = 0; i < 9; ++i) NonFiniteGuard::note(state, false);
  EXPECT_THROW(NonFiniteGuard::note(state, false), UserError);
}

}  // namespace
}  // namespace barcodemae
