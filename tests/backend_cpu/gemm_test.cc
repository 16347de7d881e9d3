// SPDX-License-Identifier: MIT
// Products against plain loops, in every type this machine multiplies; and that a row's bits depend
// on nothing but the row.
#include "backend/cpu/gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/cpu/memory.h"
#include "base/random.h"
#include "base/threads.h"

namespace barcodemae::cpu {
namespace {

/// A matrix in one of the types, of numbers that bfloat16 holds exactly.
class Matrix {
 public:
  Matrix(std::int64_t rows, std::int64_t cols, DType type, std::uint32_t seed = 0)
      : rows_(rows),
        cols_(cols),
        type_(type),
        buffer_(static_cast<std::size_t>(rows * cols) * size_of(type) + kAlignment) {
    if (seed == 0) return;
    RandomSequence random(seed, Stream::kInitialisation);
    for (std::int64_t i = 0; i < rows * cols; ++i) {
      set(i, (static_cast<float>(random.below(255)) - 127) / 128);
    }
  }
  float get(std::int64_t row, std::int64_t col) const {
    const std::int64_t i = row * cols_ + col;
    if (type_ == DType::kFloat32) return static_cast<const float*>(data())[i];
    const auto bits = std::uint32_t{static_cast<const std::uint16_t*>(data())[i]} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  void set(std::int64_t i, float value) {
    if (type_ == DType::kFloat32) {
      static_cast<float*>(data())[i] = value;
      return;
    }
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    static_cast<std::uint16_t*>(data())[i] = static_cast<std::uint16_t>(bits >> 16);
  }
  void* data() const { return buffer_.data(); }
  void* row(std::int64_t row) const { return at(buffer_.data(), type_, row * cols_); }
  std::size_t row_bytes() const { return static_cast<std::size_t>(cols_) * size_of(type_); }
  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  DType type() const { return type_; }

 private:
  std::int64_t rows_, cols_;
  DType type_;
  Buffer buffer_;
};

std::vector<DType> types() {
  initialise_gemm();
  if (bfloat16_products()) return {DType::kFloat32, DType::kBFloat16};
  return {DType::kFloat32};
}

WeightMatrix pack(const Matrix& weight, DType type, bool transposed) {
  WeightMatrix matrix(transposed ? weight.cols() : weight.rows(),
                      transposed ? weight.rows() : weight.cols(), type);
  matrix.pack(static_cast<const float*>(weight.data()), transposed);
  return matrix;
}

struct Size {
  std::int64_t rows, inner, cols;
};
const Size kSizes[] = {{1, 8, 8}, {37, 24, 40}, {300, 100, 33}, {270, 1500, 70}, {256, 64, 768}};

TEST(Multiply, IsTheProductOfBothOrientations) {
  for (const DType type : types()) {
    for (const auto [rows, inner, cols] : kSizes) {
      const Matrix a(rows, inner, type, 1), bias(1, cols, DType::kFloat32, 3);
      for (const bool transposed : {false, true}) {
        const Matrix weight(transposed ? cols : inner, transposed ? inner : cols, DType::kFloat32,
                            2);
        const Matrix c(rows, cols, DType::kFloat32);
        multiply_any(c.data(), DType::kFloat32, a.data(), rows, pack(weight, type, transposed),
                     static_cast<const float*>(bias.data()));
        for (std::int64_t row = 0; row < rows; ++row) {
          for (std::int64_t col = 0; col < cols; ++col) {
            double sum = bias.get(0, col), magnitude = 1;
            for (std::int64_t k = 0; k < inner; ++k) {
              const double term =
                  double{a.get(row, k)} * (transposed ? weight.get(col, k) : weight.get(k, col));
              sum += term;
              magnitude += std::abs(term);
            }
            ASSERT_NEAR(c.get(row, col), sum, 1e-6 * magnitude)
                << rows << " x " << inner << " x " << cols << " at " << row << ", " << col;
          }
        }
      }
    }
  }
}

// Every row of `a` is the same one: every row of the product must be too, whatever the count.
TEST(Multiply, GivesARowTheSameBitsInAnyCompany) {
  constexpr std::int64_t kInner = 776, kCols = 96;
  for (const DType type : types()) {
    const Matrix one(1, kInner, type, 1), weight(kCols, kInner, DType::kFloat32, 2);
    const WeightMatrix packed = pack(weight, type, true);
    const Matrix expected(1, kCols, type);
    multiply_any(expected.data(), type, one.data(), 1, packed, nullptr);
    for (const std::int64_t rows : {2, 15, 16, 33, 64, 100, 240, 256, 257, 400}) {
      const Matrix a(rows, kInner, type), c(rows, kCols, type);
      for (std::int64_t row = 0; row < rows; ++row) {
        std::memcpy(a.row(row), one.data(), one.row_bytes());
      }
      multiply_any(c.data(), type, a.data(), rows, packed, nullptr);
      for (std::int64_t row = 0; row < rows; ++row) {
        ASSERT_EQ(std::memcmp(c.row(row), expected.data(), c.row_bytes()), 0)
            << "row " << row << " of " << rows;
      }
    }
  }
}

struct Operands {
  Buffer dy_memory, x_memory;
  GradientOperand dy, x;

  Operands(const Matrix& dy_rows, const Matrix& x_rows)
      : dy_memory(GradientOperand::bytes(dy_rows.rows(), dy_rows.cols(), dy_rows.type())),
        x_memory(GradientOperand::bytes(x_rows.rows(), x_rows.cols(), x_rows.type())),
        dy(dy_memory.data(), GradientOperand::Side::kLeft, dy_rows.rows(), dy_rows.cols(),
           dy_rows.type()),
        x(x_memory.data(), GradientOperand::Side::kRight, x_rows.rows(), x_rows.cols(),
          x_rows.type()) {
    const std::int64_t step = 2 * row_granularity(dy_rows.type());
    for (std::int64_t row = 0; row < dy_rows.rows(); row += step) {
      const std::int64_t rows = std::min(step, dy_rows.rows() - row);
      dy.store(row, dy_rows.row(row), rows, rows);
      x.store(row, x_rows.row(row), rows, rows);
    }
  }
};

TEST(WeightGradients, AddTransposedProductsAndHaveTheSameBitsForAnyThreadCount) {
  for (const DType type : types()) {
    const Matrix dy(1300, 300, type, 1), x(1300, 72, type, 2);
    const Matrix before(300, 72, DType::kFloat32, 3);
    const Operands operands(dy, x);
    std::vector<std::vector<float>> results;
    const int threads_before = thread_count();
    for (const int threads : {1, 2, 5}) {
      set_thread_count(threads);
      std::vector<float> gradient(300 * 72);
      std::memcpy(gradient.data(), before.data(), gradient.size() * sizeof(float));
      add_weight_gradients(std::array{WeightGradient{gradient.data(), operands.dy, operands.x},
                                      WeightGradient{nullptr, operands.dy, operands.x}});
      results.push_back(std::move(gradient));
    }
    set_thread_count(threads_before);
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
    for (std::int64_t out = 0; out < 300; out += 7) {
      for (std::int64_t in = 0; in < 72; ++in) {
        double sum = before.get(out, in);
        for (std::int64_t row = 0; row < 1300; ++row) {
          sum += double{dy.get(row, out)} * double{x.get(row, in)};
        }
        EXPECT_NEAR(results[0][static_cast<std::size_t>(out * 72 + in)], sum, 1e-3);
      }
    }
  }
}

}  // namespace
}  // namespace barcodemae::cpu
