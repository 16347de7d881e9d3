// SPDX-License-Identifier: MIT
// The gradient that a step takes is known from what the step does to the weights: with ε = 1, no
// decay and moments of 0, AdamW moves a weight by −lr · g / (|g| + 1).
#include <gtest/gtest.h>

#include <cmath>

#include "formats/safetensors.h"
#include "pretrain_fixture.h"

namespace barcodemae {
namespace {

class Clipping : public PretrainTest {
 protected:
  /// One step from the same weights on the same batch, at lr 1.
  void take_step(const std::string& out, double clip) {
    EXPECT_EQ(train(out, options(clip)), PretrainOutcome::kFinished);
  }
  static Given options(double clip) {
    return {{"steps", "1"},     {"schedule", "constant"},
            {"warmup", "0"},    {"lr", "1"},
            {"epsilon", "1"},   {"weight-decay", "0"},
            {"log-every", "1"}, {"clip", fmt::format("{}", clip)}};
  }
  std::filesystem::path checkpoint(const std::string& out, int step) const {
    return folder_ / fmt::format("{}/checkpoints/step-{}/state.safetensors", out, step);
  }
  /// All of them, flat.
  std::vector<double> weights(const std::string& out, int step) const {
    const SafetensorsFile file(checkpoint(out, step));
    const auto values = file.floats("values", 1, file.entries().at("values").elements());
    return {values.begin(), values.end()};
  }
  /// That the step took, from the change that it made.
  std::vector<double> gradient(const std::string& out) const {
    std::vector<double> before = weights("start", 0), after = weights(out, 1);
    EXPECT_EQ(before.size(), after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      const double change = before[i] - after[i];
      before[i] = change / (1 - std::abs(change));
    }
    return before;
  }
  double reported_norm(const std::string& out) {
    return metrics(out, "train").front()["gradient_norm"].get<double>();
  }
};

double length(const std::vector<double>& vector) {
  double squares = 0;
  for (const double x : vector) squares += x * x;
  return std::sqrt(squares);
}

INSTANTIATE_TEST_SUITE_P(Device, Clipping, testing::Values("reference", "cpu"),
                         [](const auto& test) { return test.param; });

TEST_P(Clipping, ShortensTheWholeGradientToItsLimit) {
  EXPECT_EQ(train("start", options(0), /*stop_at=*/0), PretrainOutcome::kInterrupted);
  take_step("free", 0);
  const double norm = reported_norm("free"), limit = norm / 10;
  take_step("clipped", limit);
  EXPECT_EQ(reported_norm("clipped"), norm) << "that before clipping";
  const std::vector<double> free = gradient("free"), clipped = gradient("clipped");
  // Weights near 1 are rounded by 6e-8, the others by less: all 22,000 by 9e-6 in length at most,
  // where the limit is 0.14.
  EXPECT_NEAR(length(free), norm, 1e-4 * norm);
  EXPECT_NEAR(length(clipped), limit, 1e-4 * limit);
  for (std::size_t i = 0; i < free.size(); ++i) {
    ASSERT_NEAR(clipped[i], free[i] / 10, 1e-6) << "another direction";
  }
}

TEST_P(Clipping, AboveTheNormChangesNoBit) {
  take_step("free", 0);
  take_step("clipped", 1.001 * reported_norm("free"));
  EXPECT_TRUE(read_file(checkpoint("free", 1)) == read_file(checkpoint("clipped", 1)));
}

}  // namespace
}  // namespace barcodemae
