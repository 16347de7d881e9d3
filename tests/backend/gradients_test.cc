// SPDX-License-Identifier: MIT
// The reference backend's gradients against differences of its forward passes, in float64; and the
// harness itself.
#include <cmath>

#include "backend/reference/reference_backend.h"
#include "base/random.h"
#include "guarded_buffer.h"
#include "precision.h"

namespace barcodemae::test {
namespace {

/// Σ dy · y, whose gradients the backward pass computes.
double objective(const OpCase& op, const Values& inputs, Backend& backend) {
  const Values results = run(op, inputs, backend, DType::kFloat64, Pass::kForward);
  const std::vector<double>& y = results.at(op.loss ? "loss" : "y");
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) sum += inputs.at("dy")[i] * y[i];
  return sum;
}

/// A corner of the cube ±1: an error in any element of a gradient changes its product with it.
std::vector<double> random_direction(std::size_t size, std::uint32_t seed) {
  RandomSequence random(seed, Stream::kInitialisation);
  std::vector<double> direction(size);
  for (double& value : direction) value = random() % 2 == 0 ? 1.0 : -1.0;
  return direction;
}

/// By the central difference of fourth order.
double slope_along(const std::vector<double>& direction, const std::string& name, const OpCase& op,
                   const Values& inputs, Backend& backend) {
  constexpr double kStep = 1e-4;
  const auto value = [&](double distance) {
    Values moved = inputs;
    std::vector<double>& values = moved[name];
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += distance * direction[i];
    return objective(op, moved, backend);
  };
  return (8 * (value(kStep) - value(-kStep)) - (value(2 * kStep) - value(-2 * kStep))) /
         (12 * kStep);
}

class GradientCheck : public testing::TestWithParam<std::size_t> {};

// One tensor at a time, along two random directions. The difference's own error: the fifth
// derivative times kStep⁴ = 1e-16, and the objective's rounding, some 1e-13, over kStep.
TEST_P(GradientCheck, IsTheSlopeOfTheForwardPass) {
  const OpCase& op = cases()[GetParam()];
  const Values inputs = make_inputs(op);
  const auto backend = make_reference_backend();
  const Values results = run(op, inputs, *backend, DType::kFloat64, Pass::kBoth);
  int checked = 0;
  for (const auto& [gradient_name, gradient] : results) {
    const bool of_x = gradient_name == "dx";
    if (!of_x && gradient_name.rfind("d ", 0) != 0) continue;
    const std::string name = of_x ? "x" : gradient_name.substr(2);
    const bool added_to = !of_x || op.accumulate;
    for (std::uint32_t seed = 1; seed <= 2; ++seed) {
      const std::vector<double> direction = random_direction(gradient.size(), seed);
      double product = 0, squared = 0;
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        const double change = gradient[i] - (added_to ? inputs.at(gradient_name)[i] : 0.0);
        product += change * direction[i];
        squared += change * change;
      }
      EXPECT_NEAR(slope_along(direction, name, op, inputs, *backend), product,
                  op.tolerance_factor * 1e-8 * (1 + std::sqrt(squared)))
          << "gradient of " << name;
      ++checked;
    }
  }
  EXPECT_GT(checked, 0);
}

/// Eight forward passes a tensor: only where one is cheap.
bool small(const OpCase& op) {
  std::size_t size = op.x_rows.size() * static_cast<std::size_t>(op.x_cols);
  for (const ParameterSpec& spec : op.parameters) {
    size += static_cast<std::size_t>(spec.rows * spec.cols);
  }
  return size < 80'000 && op.batch.rows() < 300;
}

INSTANTIATE_TEST_SUITE_P(Op, GradientCheck, testing::ValuesIn(cases_where(small)), name_of);

// Harness -------------------------------------------------------------------------------------

TEST(GuardedBuffer, NoticesTheFirstByteOnEitherSide) {
  const auto backend = make_reference_backend();
  for (const int place : {-2, 0, 38, 40}) {
    const GuardedBuffer buffer(*backend, 40);
    const std::uint16_t value = 0;
    backend->upload({static_cast<std::byte*>(buffer.data()) + place, 1, 1, DType::kBFloat16},
                    &value);
    EXPECT_EQ(buffer.sentinels_intact(), place >= 0 && place < 40) << place;
  }
}

}  // namespace
}  // namespace barcodemae::test
