// SPDX-License-Identifier: MIT
// Every op of a backend, on every case of op_cases.cc.
//
// The reference backend's float64 forward passes are the meaning. Its gradients are held against
// central differences (gradients_test.cc), and every other backend and precision against its values
// and gradients.
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
//   cuda_…             as the CPU's of the same type.
//   cpu_int8           against the reference's int8, whose roundings to int8 are the same but for
//                      the few numbers near the middle between two; then as bfloat16.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "backend/reference/reference_backend.h"
#include "precision.h"

namespace barcodemae::test {
namespace {

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
                  const OpCase& op) {
  const bool finite_is_enough =
      op.only_finite_when_short && size_of(precision.type) < size_of(DType::kFloat32);
  for (const auto& [name, values] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    ASSERT_EQ(actual.at(name).size(), values.size()) << name;
    const Errors errors = errors_of(actual.at(name), values);
    if (finite_is_enough) {
      EXPECT_TRUE(std::isfinite(errors.largest)) << name;
      continue;
    }
    EXPECT_LE(errors.largest, precision.largest * op.tolerance_factor)
        << "largest error of " << name;
    EXPECT_LE(errors.norm, precision.norm * op.tolerance_factor)
        << "norm of the errors of " << name;
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

// Backends against the reference --------------------------------------------------------------

class Agreement : public OnEachPrecision {};

TEST_P(Agreement, WithTheFloat64Reference) {
  const Values inputs = make_inputs(op());
  const Values expected =
      run(op(), inputs, *make_reference_backend(), DType::kFloat64, Pass::kBoth);
  const Values expected_int8 =
      op().loss ? Values{}
                : run(op(), inputs, *make_reference_backend(), DType::kInt8, Pass::kInference);
  for (const Precision& precision : precisions()) {
    if (!computes(precision, op(), last_pass(precision))) continue;
    SCOPED_TRACE(precision.name);
    const bool int8 = precision.type == DType::kInt8;
    expect_close(run_at(precision, op(), inputs, Pass::kInference),
                 int8 ? expected_int8 : forward_part(expected), precision, op());
    if (int8) continue;
    const Values actual = run_at(precision, op(), inputs, Pass::kBoth);
    EXPECT_EQ(actual.size(), expected.size());
    expect_close(actual, expected, precision, op());
  }
}

INSTANTIATE_TEST_SUITE_P(Op, Agreement, testing::Range<std::size_t>(0, cases().size()), name_of);

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
  for (const Precision& precision : precisions()) {
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

}  // namespace
}  // namespace barcodemae::test
