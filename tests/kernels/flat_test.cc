// SPDX-License-Identifier: MIT
#include "base/index.h"
#include "kernel_test.h"

namespace barcodemae::cpu {
namespace {

class FlatKernel : public KernelTest {};

TEST_P(FlatKernel, AddsAndConvertsWithOneRounding) {
  for (std::int64_t count : {0, 1, 15, 64, 1003}) {
    const Doubles a = random_values(count, 1, 1, type), b = random_values(count, 2, 1, type);
    Guarded a_(type, a), b_(type, b), sum(type, count), wide(DType::kFloat32, count),
        narrow(type, count);
    k.add(sum.data(), a_.data(), b_.data(), type, count);
    Doubles expected;
    for (std::int64_t i = 0; i < count; ++i)
      expected.push_back(round_to(type, a[index(i)] + b[index(i)]));
    EXPECT_EQ(sum.values(), expected);

    const Doubles x = random_values(count, 3);
    Guarded x_(DType::kFloat32, x);
    k.convert(narrow.data(), type, x_.data(), DType::kFloat32, count);
    k.convert(wide.data(), DType::kFloat32, narrow.data(), type, count);
    expected = x;
    for (double& v : expected) v = round_to(type, v);
    EXPECT_EQ(wide.values(), expected);
    EXPECT_TRUE(sum.intact() && narrow.intact() && wide.intact());
  }
}

TEST_P(FlatKernel, ConvertsTiesToEvenAndKeepsNaN) {
  // 1 + 2⁻⁸ is half way between 1 and 1 + 2⁻⁷; 1 + 3 · 2⁻⁸ between 1 + 2⁻⁷ and 1 + 2⁻⁶.
  float x[] = {1 + 0x1p-8f, 1 + 0x3p-8f, -INFINITY, NAN, 3.4e38f, -0.0f};
  float y[6];
  std::uint16_t narrow[6];
  k.convert(narrow, DType::kBFloat16, x, DType::kFloat32, 6);
  k.convert(y, DType::kFloat32, narrow, DType::kBFloat16, 6);
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], 1 + 0x1p-6f);
  EXPECT_EQ(y[2], -INFINITY);
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_EQ(y[4], INFINITY);
  EXPECT_TRUE(y[5] == 0 && std::signbit(y[5]));
}

TEST_P(FlatKernel, SumsAndSpreadsRows) {
  const std::int64_t rows = 7, stride = 140;
  for (std::int64_t cols : {1, 40, 64, 133}) {
    const Doubles x = random_values(rows * stride, 1, 1, type);
    Doubles sums(index(cols), 2.0);
    for (std::int64_t i = 0; i < rows * cols; ++i) {
      sums[index(i % cols)] += 0.5 * x[index(i / cols * stride + i % cols)];
    }
    Guarded x_(type, x), y(DType::kFloat32, Doubles(index(cols), 2.0));
    k.column_sums(y.floats(), true, 0.5f, x_.data(), type, rows, cols, stride);
    EXPECT_LE(relative_error(y.values(), sums), tolerance(DType::kFloat32));
    EXPECT_TRUE(y.intact());

    const Doubles row = random_values(cols, 2);
    Doubles spread = x;
    for (std::int64_t i = 0; i < rows * cols; ++i) {
      spread[index(i / cols * stride + i % cols)] += 3 * row[index(i % cols)];
    }
    Guarded row_(DType::kFloat32, row);
    k.broadcast_row(x_.data(), type, true, 3, row_.floats(), rows, cols, stride);
    EXPECT_LE(relative_error(x_.values(), spread), tolerance(type));
    EXPECT_TRUE(x_.intact());
  }
}

TEST_P(FlatKernel, AddsRowsByIndex) {
  const std::int64_t rows = 6, cols = 21, stride = 24;
  const std::vector<std::int32_t> targets = {2, 0, 2, 2, 4, 0};
  const Doubles x = random_values(rows * stride, 1, 1, type);
  Doubles expected(index(5 * stride), 1.0);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < cols; ++c) {
      expected[index(targets[index(r)] * stride + c)] += x[index(r * stride + c)];
    }
  }
  Guarded x_(type, x), table(DType::kFloat32, Doubles(index(5 * stride), 1.0));
  k.add_rows(table.floats(), stride, targets.data(), x_.data(), type, stride, rows, cols);
  EXPECT_LE(relative_error(table.values(), expected), tolerance(DType::kFloat32));
  EXPECT_TRUE(table.intact());
}

TEST_P(FlatKernel, SumOfSquares) {
  const Doubles x = random_values(1003, 1);
  double expected = 0;
  for (double v : x) expected += v * v;
  Guarded x_(DType::kFloat32, x);
  EXPECT_NEAR(k.sum_of_squares(x_.floats(), 1003), expected, 1e-12 * expected);
  EXPECT_EQ(k.sum_of_squares(nullptr, 0), 0);
  for (float bad : {NAN, INFINITY}) {
    x_.floats()[1001] = bad;
    EXPECT_FALSE(std::isfinite(k.sum_of_squares(x_.floats(), 1003)));
  }
}

TEST_P(FlatKernel, AdamWIsPyTorchs) {
  for (std::int64_t count : {1, 16, 77}) {
    const double rate = 0.01, beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8, decay = 0.1, scale = 0.5;
    const double correction1 = 1 - std::pow(beta1, 3), correction2 = 1 - std::pow(beta2, 3);
    Doubles value = random_values(count, 1), gradient = random_values(count, 2),
            first = random_values(count, 3), second = random_values(count, 4);
    for (double& v : second) v *= v;
    Guarded value_(DType::kFloat32, value), gradient_(DType::kFloat32, gradient),
        first_(DType::kFloat32, first), second_(DType::kFloat32, second);
    k.adamw({.count = count,
             .value = value_.floats(),
             .gradient = gradient_.floats(),
             .first_moment = first_.floats(),
             .second_moment = second_.floats(),
             .gradient_scale = static_cast<float>(scale),
             .beta1 = static_cast<float>(beta1),
             .one_minus_beta1 = static_cast<float>(1 - beta1),
             .beta2 = static_cast<float>(beta2),
             .one_minus_beta2 = static_cast<float>(1 - beta2),
             .epsilon = static_cast<float>(epsilon),
             .decay = static_cast<float>(1 - rate * decay),
             .step_size = static_cast<float>(rate / correction1),
             .inverse_root = static_cast<float>(1 / std::sqrt(correction2))});
    for (std::size_t i = 0; i < value.size(); ++i) {
      const double g = gradient[i] * scale;
      first[i] = beta1 * first[i] + (1 - beta1) * g;
      second[i] = beta2 * second[i] + (1 - beta2) * g * g;
      value[i] = value[i] * (1 - rate * decay) -
                 rate / correction1 * first[i] / (std::sqrt(second[i] / correction2) + epsilon);
    }
    EXPECT_LE(relative_error(value_.values(), value), tolerance(DType::kFloat32));
    EXPECT_LE(relative_error(first_.values(), first), tolerance(DType::kFloat32));
    EXPECT_LE(relative_error(second_.values(), second), tolerance(DType::kFloat32));
    EXPECT_THAT(gradient_.values(), testing::Each(0));
    EXPECT_TRUE(value_.intact() && gradient_.intact() && first_.intact() && second_.intact());
  }
}

INSTANTIATE_TEST_SUITE_P(, FlatKernel, testing::ValuesIn(variants()), variant_name);

}  // namespace
}  // namespace barcodemae::cpu
