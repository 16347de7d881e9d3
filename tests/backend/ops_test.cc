// SPDX-License-Identifier: MIT
// Every op of every backend, on every case of op_cases.cc.
//
// The reference backend's float64 forward passes are the meaning. Its gradients are held against
// central differences, and every other backend and precision against its values and gradients.
// Inputs are numbers that all precisions can hold, so that what differs is rounding on the way.
//
// Tolerances are relative to each tensor: the largest error over the largest element finds single
// wrong elements, the norm of all errors over the tensor's norm finds many small ones. With u half
// a unit in the last place (float32 6e-8, bfloat16 2e-3) an error grows with the square root of the
// number of roundings, which are independent:
//   reference_float32  sums are in double, so only about ten tensors on the way are rounded: 8 u.
//   cpu_float32        sums of up to 3,000 terms in float32, several to a gradient, and polynomials
//                      for exp and erf that are good to a few u: 80 u.
//   cpu_bfloat16       up to ten tensors on the way are rounded, all sums being in float32: 4 u in
//                      the norm, and twice that for a single element, whose error is normal.
//   cpu_int8           against the reference's int8, whose roundings to int8 are the same but for
//                      the few numbers near the middle between two; then as bfloat16.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "backend/backends.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/random.h"
#include "base/threads.h"
#include "op_case.h"

namespace barcodemae::test {
namespace {

/// A backend in one of its precisions, and how far from the float64 reference it may be.
struct Precision {
  const char* name;
  std::unique_ptr<Backend> (*make)();
  DType type;
  double largest;  ///< error of any element, over the largest element of the tensor
  double norm;     ///< Euclidean norm of a tensor's errors, over the tensor's
};

const Precision kReferenceFloat32{"reference_float32", make_reference_backend, DType::kFloat32,
                                  5e-7, 5e-7};

/// Of the backends that use several threads: what this machine can compute.
std::vector<Precision> parallel_precisions() {
  std::vector<Precision> precisions{{"cpu_float32", make_cpu_backend, DType::kFloat32, 5e-6, 5e-6}};
  if (machine().simd >= SimdLevel::kAvx512) {
    precisions.push_back({"cpu_bfloat16", make_cpu_backend, DType::kBFloat16, 1.5e-2, 8e-3});
  }
  if (cpu::has_precision(DType::kInt8)) {
    precisions.push_back({"cpu_int8", make_cpu_backend, DType::kInt8, 3e-2, 1.2e-2});
  }
  return precisions;
}

/// int8 is for inference alone, and not for losses.
bool computes(const Precision& precision, const OpCase& op, Pass pass) {
  return precision.type != DType::kInt8 || (pass == Pass::kInference && !op.loss);
}
Pass last_pass(const Precision& precision) {
  return precision.type == DType::kInt8 ? Pass::kInference : Pass::kBoth;
}

std::vector<Precision> all_precisions() {
  std::vector<Precision> precisions = parallel_precisions();
  precisions.push_back(kReferenceFloat32);
  return precisions;
}

const std::vector<OpCase>& cases() {
  static const std::vector<OpCase> all = all_op_cases();
  return all;
}

std::vector<std::size_t> cases_where(bool (*condition)(const OpCase&)) {
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < cases().size(); ++place) {
    if (condition(cases()[place])) places.push_back(place);
  }
  return places;
}

std::string name_of(const testing::TestParamInfo<std::size_t>& test) {
  return cases()[test.param].name;
}

struct Errors {
  double largest = 0, norm = 0;
};

/// Of `actual` against `expected`, relative; infinite when a number is not finite.
Errors errors_of(const std::vector<double>& actual, const std::vector<double>& expected) {
  double largest_error = 0, largest = 0, squared_error = 0, squared = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!std::isfinite(actual[i])) return {INFINITY, INFINITY};
    const double error = std::abs(actual[i] - expected[i]);
    largest_error = std::max(largest_error, error);
    largest = std::max(largest, std::abs(expected[i]));
    squared_error += error * error;
    squared += expected[i] * expected[i];
  }
  if (largest_error == 0) return {};
  return {largest_error / largest, std::sqrt(squared_error / squared)};
}

void expect_close(const Values& actual, const Values& expected, const Precision& precision,
                  double factor) {
  for (const auto& [name, values] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    ASSERT_EQ(actual.at(name).size(), values.size()) << name;
    const Errors errors = errors_of(actual.at(name), values);
    EXPECT_LE(errors.largest, precision.largest * factor) << "largest error of " << name;
    EXPECT_LE(errors.norm, precision.norm * factor) << "norm of the errors of " << name;
  }
}

/// The results of the forward pass.
Values forward_part(const Values& results) {
  Values part;
  for (const char* name : {"y", "loss", "hits"}) {
    if (results.contains(name)) part[name] = results.at(name);
  }
  return part;
}

// Gradients against differences ---------------------------------------------------------------

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

// Backends against the reference --------------------------------------------------------------

class OnEachPrecision : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    try {
      machine();
    } catch (const UserError& error) {  // BARCODEMAE_SIMD asks for more than there is
      GTEST_SKIP() << "skipped: " << error.what();
    }
  }
  const OpCase& op() const { return cases()[GetParam()]; }
};

Values run_at(const Precision& precision, const OpCase& op, const Values& inputs, Pass pass) {
  return run(op, inputs, *precision.make(), precision.type, pass);
}

class Agreement : public OnEachPrecision {};

TEST_P(Agreement, WithTheFloat64Reference) {
  const Values inputs = make_inputs(op());
  const Values expected =
      run(op(), inputs, *make_reference_backend(), DType::kFloat64, Pass::kBoth);
  const Values expected_int8 =
      op().loss ? Values{}
                : run(op(), inputs, *make_reference_backend(), DType::kInt8, Pass::kInference);
  for (const Precision& precision : all_precisions()) {
    if (!computes(precision, op(), last_pass(precision))) continue;
    SCOPED_TRACE(precision.name);
    const bool int8 = precision.type == DType::kInt8;
    expect_close(run_at(precision, op(), inputs, Pass::kInference),
                 int8 ? expected_int8 : forward_part(expected), precision, op().tolerance_factor);
    if (int8) continue;
    const Values actual = run_at(precision, op(), inputs, Pass::kBoth);
    EXPECT_EQ(actual.size(), expected.size());
    expect_close(actual, expected, precision, op().tolerance_factor);
  }
}

INSTANTIATE_TEST_SUITE_P(Op, Agreement, testing::Range<std::size_t>(0, cases().size()), name_of);

class Threads : public OnEachPrecision {
 protected:
  void TearDown() override { set_thread_count(before_); }

 private:
  int before_ = thread_count();
};

TEST_P(Threads, AnyNumberGivesTheSameBits) {
  const Values inputs = make_inputs(op());
  for (const Precision& precision : parallel_precisions()) {
    SCOPED_TRACE(precision.name);
    const Pass pass = last_pass(precision);
    if (!computes(precision, op(), pass)) continue;
    set_thread_count(1);
    const Values expected = run_at(precision, op(), inputs, pass);
    for (const int threads : {2, 3}) {
      set_thread_count(threads);
      EXPECT_TRUE(run_at(precision, op(), inputs, pass) == expected) << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Op, Threads, testing::Range<std::size_t>(0, cases().size()), name_of);

// A row and the other sequences of its batch --------------------------------------------------

/// The rows of a result whose names are wanted, in that order.
std::vector<double> rows_named(const std::vector<double>& values, const std::vector<RowName>& names,
                               const std::vector<RowName>& wanted) {
  const std::size_t cols = values.size() / names.size();
  std::vector<double> part;
  for (const RowName& name : wanted) {
    const auto place =
        static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    for (std::size_t i = 0; i < cols; ++i) part.push_back(values[place * cols + i]);
  }
  return part;
}

class OtherSequences : public OnEachPrecision {};

TEST_P(OtherSequences, DoNotChangeABitOfARow) {
  const std::size_t sequences = op().batch.lengths.size();
  std::vector<std::size_t> last{sequences - 1}, reversed, every_second;
  for (std::size_t i = 0; i < sequences; ++i) {
    reversed.push_back(sequences - 1 - i);
    if (i % 2 == 0) every_second.push_back(i);
  }
  for (const Precision& precision : parallel_precisions()) {
    for (const Pass pass : {Pass::kInference, Pass::kBoth}) {
      if (!computes(precision, op(), pass)) continue;
      const Values whole = run_at(precision, op(), make_inputs(op()), pass);
      for (const auto& chosen : {last, reversed, every_second}) {
        SCOPED_TRACE(fmt::format("{} {}, sequences {}", precision.name,
                                 pass == Pass::kInference ? "inference" : "training",
                                 fmt::join(chosen, " ")));
        OpCase part = op().with_batch(op().batch.select(chosen));
        part.parameters = op().parameters;
        const Values results = run_at(precision, part, make_inputs(part), pass);
        EXPECT_TRUE(results.at("y") == rows_named(whole.at("y"), op().y_rows, part.y_rows));
        if (!results.contains("dx")) continue;
        EXPECT_TRUE(results.at("dx") == rows_named(whole.at("dx"), op().x_rows, part.x_rows));
      }
    }
  }
}

bool has_independent_sequences(const OpCase& op) {
  return op.with_batch && op.batch.lengths.size() > 1 && op.batch.rows() > 0;
}

INSTANTIATE_TEST_SUITE_P(Op, OtherSequences,
                         testing::ValuesIn(cases_where(has_independent_sequences)), name_of);

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
