// SPDX-License-Identifier: MIT
#include "analysis/softmax_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

TEST(SoftmaxAnswers, AreThoseOfTheDefinitionForAnyNumberOfThreads) {
  // More rows and classes than one block of either.
  constexpr std::int64_t kRows = 300, kClasses = 600, kWidth = 7;
  RandomSequence random(3, Stream::kSimulate);
  const auto matrix = [&](std::int64_t rows, std::int64_t cols) {
    Matrix made{rows, cols, {}};
    for (std::int64_t i = 0; i < rows * cols; ++i) {
      made.values.push_back(static_cast<float>(3 * random.normal()));
    }
    return made;
  };
  ClassifierHead head;
  head.weights = matrix(kClasses, kWidth);
  head.bias = matrix(1, kClasses).values;
  const Matrix vectors = matrix(kRows, kWidth);
  std::vector<std::int32_t> targets;
  for (std::int64_t row = 0; row < kRows; ++row) {
    targets.push_back(static_cast<std::int32_t>(random.below(kClasses + 1)) - 1);
  }
  const int threads = thread_count();
  set_thread_count(1);
  const SoftmaxAnswers answers = answer(head, vectors, targets);
  set_thread_count(3);
  const SoftmaxAnswers again = answer(head, vectors, targets);
  set_thread_count(threads);
  EXPECT_EQ(answers.classes, again.classes);
  EXPECT_EQ(answers.losses, again.losses);
  for (std::int64_t row = 0; row < kRows; ++row) {
    std::vector<double> logits;
    double sum = 0;
    for (std::int64_t c = 0; c < kClasses; ++c) {
      double logit = head.bias[static_cast<std::size_t>(c)];
      for (std::int64_t i = 0; i < kWidth; ++i) {
        logit += double{vectors.row(row)[static_cast<std::size_t>(i)]} *
                 head.weights.row(c)[static_cast<std::size_t>(i)];
      }
      logits.push_back(logit);
      sum += std::exp(logit);
    }
    const auto r = static_cast<std::size_t>(row);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    EXPECT_EQ(answers.classes[r], best);
    const double loss =
        targets[r] < 0 ? 0 : std::log(sum) - logits[static_cast<std::size_t>(targets[r])];
    EXPECT_NEAR(answers.losses[r], loss, 1e-4);
  }
}

TEST(SoftmaxAnswers, LargeLogitsDoNotOverflowAndWhatIsNotFiniteShows) {
  ClassifierHead head;
  head.weights = {2, 1, {1000, -1000}};
  head.bias = {0, 0};
  const std::vector<std::int32_t> targets = {0, 1, 0};
  const SoftmaxAnswers answers = answer(head, {3, 1, {1, 1, NAN}}, targets);
  EXPECT_THAT(answers.classes, testing::ElementsAre(0, 0, 0));
  EXPECT_EQ(answers.losses[0], 0);
  EXPECT_EQ(answers.losses[1], 2000);
  EXPECT_TRUE(std::isnan(answers.losses[2]));
}

}  // namespace
}  // namespace barcodemae
