// SPDX-License-Identifier: MIT
#include "analysis/classification.h"

#include <gtest/gtest.h>

namespace barcodemae {
namespace {

TEST(ScorePredictions, AgreesWithScikitLearn) {
  // sklearn.metrics: accuracy_score, balanced_accuracy_score, f1_score(average="macro" and
  // "weighted") and precision_recall_fscore_support of [0,0,0,1,1,2,4] against [0,0,1,1,2,2,3].
  const std::vector<std::int32_t> truth = {0, 0, 0, 1, 1, 2, 4, -1};
  const std::vector<std::int32_t> predicted = {0, 0, 1, 1, 2, 2, 3, 0};
  const auto scores = score_predictions(truth, predicted, {true, true, true, true});
  EXPECT_EQ(scores.queries, 7);
  EXPECT_EQ(scores.correct, 4);
  EXPECT_EQ(scores.unlabelled, 1);
  EXPECT_EQ(scores.unreachable, 1) << "no key has label 4";
  EXPECT_NEAR(scores.accuracy, 0.5714285714, 1e-9);
  EXPECT_NEAR(scores.balanced_accuracy, 0.5416666667, 1e-9);
  EXPECT_NEAR(scores.micro_f1, 0.5714285714, 1e-9);
  EXPECT_NEAR(scores.macro_f1, 0.3933333333, 1e-9);
  EXPECT_NEAR(scores.weighted_f1, 0.5809523810, 1e-9);
  ASSERT_EQ(scores.classes.size(), 5u);
  const ClassScores& two = scores.classes[2];
  EXPECT_EQ(two.label, 2);
  EXPECT_EQ(two.support, 1);
  EXPECT_NEAR(two.precision(), 0.5, 1e-12);
  EXPECT_NEAR(two.recall(), 1, 1e-12);
  EXPECT_NEAR(two.f1(), 0.6666666667, 1e-9);
  EXPECT_EQ(scores.classes[3].f1(), 0) << "predicted, but no query's";
}

TEST(ScorePredictions, NoAnswerIsWrongButNoClass) {
  const std::vector<std::int32_t> truth = {0, 1}, predicted = {0, -1};
  const auto scores = score_predictions(truth, predicted, {true, true});
  EXPECT_EQ(scores.accuracy, 0.5);
  EXPECT_NEAR(scores.micro_f1, 2.0 / 3, 1e-12);
  EXPECT_EQ(scores.macro_f1, 0.5);
}

TEST(ScorePredictions, NoLabelledQueryGivesZeros) {
  const std::vector<std::int32_t> none = {-1};
  EXPECT_EQ(score_predictions(none, none, {}).accuracy, 0);
}

}  // namespace
}  // namespace barcodemae
