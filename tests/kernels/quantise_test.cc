// SPDX-License-Identifier: MIT
#include "kernel_test.h"

namespace barcodemae::cpu {
namespace {

class QuantiseKernel : public KernelTest {};

/// int8 numbers times their scale are within half a step of what they stand for, and the largest of
/// a row is ±127.
void expect_quantised(const std::vector<std::int8_t>& numbers, const std::vector<float>& scales,
                      const Doubles& meant, std::size_t cols, double slack) {
  for (std::size_t row = 0; row < scales.size(); ++row) {
    double largest = 0;
    int most = 0;
    for (std::size_t i = row * cols; i < (row + 1) * cols; ++i) {
      largest = std::max(largest, std::abs(meant[i]));
      most = std::max(most, std::abs(int{numbers[i]}));
      ASSERT_NEAR(numbers[i] * static_cast<double>(scales[row]), meant[i],
                  0.501 * static_cast<double>(scales[row]) + slack)
          << "row " << row;
    }
    EXPECT_NEAR(scales[row], largest / 127, slack + 1e-6 * largest);
    EXPECT_EQ(most, largest > 0 ? 127 : 0);
  }
}

TEST_P(QuantiseKernel, RowsHaveScalesOfTheirOwn) {
  for (const std::int64_t cols : {1, 15, 64, 203}) {
    constexpr std::int64_t kRows = 3;
    Doubles x = random_values(kRows * cols, 1, 3, type);
    for (std::int64_t c = 0; c < cols; ++c) x[static_cast<std::size_t>(cols + c)] = 0;  // a row
    Guarded x_(type, x);
    std::vector<std::int8_t> numbers(x.size());
    std::vector<float> scales(kRows);
    k.quantise_rows({kRows, cols, type, x_.data(), numbers.data(), scales.data()});
    expect_quantised(numbers, scales, x, static_cast<std::size_t>(cols), 0);
  }
}

TEST_P(QuantiseKernel, SumsBecomeFloatsAndGelu) {
  for (const std::int64_t cols : {1, 31, 128}) {
    constexpr std::int64_t kRows = 2;
    const Doubles col_scales = random_values(cols, 1), bias = random_values(cols, 2);
    const std::vector<float> row_scales{0.002f, 0.0007f};
    std::vector<std::int32_t> sums;
    for (const double value : random_values(kRows * cols, 3, 3000)) {
      sums.push_back(static_cast<std::int32_t>(value));
    }
    Guarded scales_(DType::kFloat32, col_scales), bias_(DType::kFloat32, bias);
    Doubles z, activated;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(cols),
                        col = i % static_cast<std::size_t>(cols);
      z.push_back(sums[i] * static_cast<double>(row_scales[row]) * col_scales[col] + bias[col]);
      activated.push_back(gelu(z.back()));
    }
    const Int8Sums meant{kRows,
                         cols,
                         sums.data(),
                         row_scales.data(),
                         static_cast<const float*>(scales_.data()),
                         static_cast<const float*>(bias_.data())};
    Guarded out(type, kRows * cols);
    k.dequantise_rows(meant, out.data(), type);
    EXPECT_TRUE(out.intact());
    const double tolerance = type == DType::kBFloat16 ? 8e-3 : 4e-6;
    for (std::size_t i = 0; i < z.size(); ++i) {
      ASSERT_NEAR(out.values()[i], z[i], tolerance * (1 + std::abs(z[i])));
    }
    std::vector<std::int8_t> numbers(sums.size());
    std::vector<float> scales(kRows), scratch(static_cast<std::size_t>(cols));
    k.gelu_int8(meant, numbers.data(), scales.data(), scratch.data());
    expect_quantised(numbers, scales, activated, static_cast<std::size_t>(cols), 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(, QuantiseKernel, testing::ValuesIn(variants()), variant_name);

}  // namespace
}  // namespace barcodemae::cpu
