// SPDX-License-Identifier: MIT
#include "analysis/linear_probe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>

#include "base/random.h"
#include "base/threads.h"
#include "formats/safetensors.h"

namespace barcodemae {
namespace {

using Options = LinearProbeOptions;

struct Problem {
  Matrix vectors;
  std::vector<std::int32_t> labels;
  LabelledRows rows() const { return {RowSource::of(vectors), labels}; }
};

/// Rows around a point for each class.
Problem gaussians(std::int64_t rows, std::int64_t cols, std::uint32_t classes, std::uint64_t seed) {
  Problem problem{{rows, cols, {}}, {}};
  RandomSequence random(seed, Stream::kSimulate);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::uint32_t label = random.below(classes);
    problem.labels.push_back(static_cast<std::int32_t>(label));
    RandomSequence centre(seed, Stream::kInitialisation, label);
    for (std::int64_t col = 0; col < cols; ++col) {
      problem.vectors.values.push_back(static_cast<float>(centre.normal() + random.normal()));
    }
  }
  return problem;
}

/// What tools/dump_linear_probe.py wrote.
class Golden {
 public:
  Problem problem(const std::string& split) const {
    const auto bytes = file_.bytes(split + "_y");
    Problem problem;
    problem.labels.resize(bytes.size() / sizeof(std::int32_t));
    std::memcpy(problem.labels.data(), bytes.data(), bytes.size());
    const auto rows = static_cast<std::int64_t>(problem.labels.size());
    problem.vectors = {rows, kFeatures, floats(split + "_x", rows, kFeatures)};
    return problem;
  }
  std::vector<float> floats(const std::string& name, std::int64_t rows, std::int64_t cols) const {
    return file_.floats(name, rows, cols);
  }
  static constexpr std::int64_t kClasses = 7, kFeatures = 12;

 private:
  SafetensorsFile file_{std::string(BARCODEMAE_TEST_DATA) + "/golden/linear_probe.safetensors"};
};

/// Mean cross entropy of globally standardised rows, in double precision.
double loss_of(const std::vector<double>& weights, const Problem& problem, int classes) {
  const auto& x = problem.vectors.values;
  double mean = 0, variance = 0;
  for (const float value : x) mean += value / static_cast<double>(x.size());
  for (const float value : x) {
    variance += (value - mean) * (value - mean) / static_cast<double>(x.size());
  }
  const auto cols = static_cast<std::size_t>(problem.vectors.cols);
  double loss = 0;
  for (std::size_t row = 0; row < problem.labels.size(); ++row) {
    std::vector<double> logits;
    double sum = 0;
    for (std::size_t c = 0; c < static_cast<std::size_t>(classes); ++c) {
      double logit = weights[c * (cols + 1) + cols];
      for (std::size_t f = 0; f < cols; ++f) {
        logit += weights[c * (cols + 1) + f] * (x[row * cols + f] - mean) / std::sqrt(variance);
      }
      logits.push_back(logit);
      sum += std::exp(logit);
    }
    loss += std::log(sum) - logits[static_cast<std::size_t>(problem.labels[row])];
  }
  return loss / static_cast<double>(problem.labels.size());
}

TEST(LinearProbe, GradientsAreThoseOfCentralDifferences) {
  // Plain gradient descent on all rows at once: the second step tells the gradient at the weights
  // after the first.
  const Problem problem = gaussians(60, 3, 4, 1);
  Options options{.optimiser = Options::Optimiser::kSgd, .scaling = Options::Scaling::kGlobal};
  options.learning_rate = 0.5;
  options.weight_decay = options.momentum = 0;
  options.patience = 0;
  options.batch = 60;
  options.epochs = 1;
  const LinearProbe before = LinearProbe::train(problem.rows(), problem.rows(), options);
  options.epochs = 2;
  const LinearProbe after = LinearProbe::train(problem.rows(), problem.rows(), options);
  std::vector<double> weights(before.weights().begin(), before.weights().end());
  ASSERT_EQ(weights.size(), 4u * 4);
  EXPECT_NEAR(after.epochs()[1].loss, loss_of(weights, problem, 4), 1e-6);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    constexpr double kStep = 1e-5;
    const double value = weights[i];
    weights[i] = value + kStep;
    const double up = loss_of(weights, problem, 4);
    weights[i] = value - kStep;
    const double down = loss_of(weights, problem, 4);
    weights[i] = value;
    EXPECT_NEAR((before.weights()[i] - after.weights()[i]) / options.learning_rate,
                (up - down) / (2 * kStep), 1e-6)
        << i;
  }
}

TEST(LinearProbe, ReferenceProtocolAgreesWithPyTorch) {
  const Golden golden;
  const Problem train = golden.problem("train");
  Options options{.optimiser = Options::Optimiser::kSgd, .scaling = Options::Scaling::kGlobal};
  options.learning_rate = 1;
  options.weight_decay = 1e-9;
  options.momentum = 0.95;
  options.epochs = 12;
  options.batch = 1024;
  options.patience = 0;
  const LinearProbe probe = LinearProbe::train(train.rows(), train.rows(), options);
  const auto expected = golden.floats("reference_weights", Golden::kClasses, Golden::kFeatures + 1);
  ASSERT_EQ(probe.weights().size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(probe.weights()[i], expected[i], 2e-4 * std::max(1.0f, std::abs(expected[i]))) << i;
  }
}

TEST(LinearProbe, IsAsGoodAsScikitLearns) {
  const Golden golden;
  Options options;
  options.batch = 64;
  options.learning_rate = 1e-2;
  const LinearProbe probe =
      LinearProbe::train(golden.problem("train").rows(), golden.problem("val").rows(), options);
  // 900 test rows at 88 %: two standard errors of a difference of paired answers.
  EXPECT_NEAR(probe.accuracy(golden.problem("test").rows()),
              golden.floats("sklearn_accuracy", 1, 1)[0], 0.015);
}

TEST(LinearProbe, SameBitsForAnyNumberOfThreads) {
  const Problem train = gaussians(1500, 20, 600, 2), validation = gaussians(300, 20, 600, 2);
  Options options;
  options.epochs = 3;
  options.batch = 400;
  std::vector<std::vector<float>> weights;
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    const LinearProbe probe = LinearProbe::train(train.rows(), validation.rows(), options);
    weights.emplace_back(probe.weights().begin(), probe.weights().end());
  }
  EXPECT_EQ(std::memcmp(weights[0].data(), weights[1].data(), weights[0].size() * sizeof(float)),
            0);
}

TEST(LinearProbe, KeepsTheBestEpochAndStopsWhenNoneIsBetter) {
  const Problem train = gaussians(300, 6, 5, 3), validation = gaussians(200, 6, 5, 3);
  Options options;
  options.learning_rate = 0.3;  // so high that it soon gets no better
  options.epochs = 200;
  options.batch = 8;  // 3 epochs are more than 64 steps
  const LinearProbe probe = LinearProbe::train(train.rows(), validation.rows(), options);
  const auto& epochs = probe.epochs();
  ASSERT_LT(epochs.size(), 200u);
  EXPECT_EQ(static_cast<int>(epochs.size()), probe.best_epoch() + options.patience);
  const double best = epochs[static_cast<std::size_t>(probe.best_epoch() - 1)].validation_accuracy;
  for (const ProbeEpoch& epoch : epochs) EXPECT_LE(epoch.validation_accuracy, best);
  EXPECT_EQ(probe.accuracy(validation.rows()), best);
}

TEST(LinearProbe, UnscaledIsTheSameClassifierOfFeaturesAsTheyCome) {
  Problem problem = gaussians(400, 5, 6, 6);
  for (std::int64_t row = 0; row < problem.vectors.rows; ++row) {
    float* values = problem.vectors.values.data() + row * 5;
    values[1] = 0.01f * values[1] + 3;
    values[4] = 7;  // says nothing
  }
  Options options;
  options.learning_rate = 1e-2;
  const LinearProbe probe = LinearProbe::train(problem.rows(), problem.rows(), options);
  const auto [weights, bias] = probe.unscaled();
  ASSERT_EQ(weights.values.size(), 6u * 5);
  std::vector<std::int32_t> answers;
  for (std::int64_t row = 0; row < problem.vectors.rows; ++row) {
    std::vector<double> logits;
    for (std::int64_t c = 0; c < weights.rows; ++c) {
      const std::span<const float> terms = weights.row(c), x = problem.vectors.row(row);
      logits.push_back(std::inner_product(terms.begin(), terms.end(), x.begin(),
                                          double{bias[static_cast<std::size_t>(c)]}));
    }
    answers.push_back(
        static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
  }
  EXPECT_GT(probe.accuracy(problem.rows()), 0.5);
  EXPECT_EQ(answers, probe.predict(RowSource::of(problem.vectors)));
}

TEST(LinearProbe, FewRowsMakeStepsEnough) {
  EXPECT_EQ(Options().batch_for(1'000'000), 1024);
  EXPECT_EQ(Options().batch_for(3200), 100);
  EXPECT_EQ(Options().batch_for(60), 16);
  EXPECT_EQ(Options{.batch = 500}.batch_for(60), 500);
  const Problem train = gaussians(60, 8, 4, 5), other = gaussians(200, 8, 4, 5);
  Options patient;
  patient.learning_rate = 1e-2;
  Options most = patient;
  most.epochs = 2000;
  most.patience = 0;
  const double reached =
      LinearProbe::train(train.rows(), other.rows(), patient).accuracy(other.rows());
  EXPECT_GT(reached,
            LinearProbe::train(train.rows(), other.rows(), most).accuracy(other.rows()) - 0.05);
  EXPECT_GT(reached, 0.5);
}

TEST(LinearProbe, RowsWithoutALabelAndConstantFeaturesChangeNothing) {
  const Problem plain = gaussians(200, 4, 3, 4);
  Problem with{{0, 5, {}}, {}};
  for (std::int64_t row = 0; row < plain.vectors.rows; ++row) {
    // A row of nonsense before every 10th.
    for (int copy = row % 10 == 0 ? 0 : 1; copy < 2; ++copy) {
      const auto values = plain.vectors.row(row);
      for (const float value : values) with.vectors.values.push_back(copy == 0 ? 1e6f : value);
      with.vectors.values.push_back(7);
      with.labels.push_back(copy == 0 ? -1 : 10 * plain.labels[static_cast<std::size_t>(row)]);
      ++with.vectors.rows;
    }
  }
  Options options;
  options.batch = 50;
  options.learning_rate = 1e-2;
  const LinearProbe one = LinearProbe::train(plain.rows(), plain.rows(), options);
  const LinearProbe other = LinearProbe::train(with.rows(), with.rows(), options);
  EXPECT_EQ(other.classes(), (std::vector<std::int32_t>{0, 10, 20}));
  EXPECT_GT(one.accuracy(plain.rows()), 0.6);
  EXPECT_NEAR(one.accuracy(plain.rows()), other.accuracy(with.rows()), 0.02);
}

}  // namespace
}  // namespace barcodemae
