// SPDX-License-Identifier: MIT
#include "analysis/representation.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace barcodemae {
namespace {

TEST(SymmetricEigenvalues, AgreeWithNumPy) {
  // numpy.linalg.eigvalsh
  const std::vector<double> matrix = {4, 1, -2, 2, 1, 2, 0, 1, -2, 0, 3, -2, 2, 1, -2, -1};
  const double expected[] = {-2.1975169, 1.08436446, 2.26853141, 6.84462103};
  const auto found = symmetric_eigenvalues(matrix, 4);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(found[i], expected[i], 1e-7);
}

TEST(SymmetricEigenvalues, KeepTraceAndNormOfALargeMatrix) {
  constexpr std::int64_t kSize = 120;
  std::vector<double> matrix(kSize * kSize);
  RandomSequence random(1, Stream::kInitialisation);
  double trace = 0, square = 0;
  for (std::int64_t i = 0; i < kSize; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      const double value = random.normal();
      matrix[static_cast<std::size_t>(i * kSize + j)] = value;
      matrix[static_cast<std::size_t>(j * kSize + i)] = value;
      if (i == j) trace += value;
      square += (i == j ? 1 : 2) * value * value;
    }
  }
  double sum = 0, sum_of_squares = 0;
  for (const double value : symmetric_eigenvalues(matrix, kSize)) {
    sum += value;
    sum_of_squares += value * value;
  }
  EXPECT_NEAR(sum, trace, 1e-9);
  EXPECT_NEAR(sum_of_squares, square, 1e-7);
}

Matrix axes(std::int64_t rows, std::int64_t cols, std::int64_t used) {
  Matrix matrix{rows, cols, std::vector<float>(static_cast<std::size_t>(rows * cols), 0.0f)};
  for (std::int64_t r = 0; r < rows; ++r) {
    matrix.row(r)[static_cast<std::size_t>(r / 2 % used)] = r % 2 == 0 ? 1.0f : -1.0f;
  }
  return matrix;
}

TEST(EffectiveRank, CountsDirectionsOfEqualVariance) {
  EXPECT_NEAR(effective_rank(axes(96, 24, 8)), 8, 1e-6);
  EXPECT_NEAR(effective_rank(axes(96, 24, 1)), 1, 1e-6);
  EXPECT_NEAR(effective_rank(axes(37'000, 7, 7)), 7, 1e-2) << "of a sample";
  const Matrix equal{5, 3, std::vector<float>(15, 2.0f)};
  EXPECT_EQ(effective_rank(equal), 0);
}

TEST(MeanPairwiseCosine, IsTheMeanOverPairs) {
  // Pairs: (a, a') = 1, (a, b) = (a', b) = 0.
  const Matrix matrix{3, 2, {1, 0, 2, 0, 0, 3}};
  EXPECT_NEAR(mean_pairwise_cosine(matrix), 1.0 / 3, 1e-12);
}

}  // namespace
}  // namespace barcodemae
