// SPDX-License-Identifier: MIT
#include "analysis/representation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace barcodemae {
namespace {

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

TEST(EffectiveRank, AgreesWithNumPy) {
  // v = numpy.linalg.eigvalsh(numpy.cov(x.T)); p = v / v.sum(); numpy.exp(-(p *
  // numpy.log(p)).sum())
  const Matrix x{5, 3, {1, 2, 0, -1, 0.5f, 3, 2, 2, 1, 0, -3, 0.25f, 4, 1, -2}};
  EXPECT_NEAR(effective_rank(x), 2.112836300951031, 1e-9);
}

TEST(EffectiveRank, OfFewVectorsNearlyAlike) {
  Matrix matrix{4, 64, {}};
  RandomSequence random(1, Stream::kInitialisation);
  for (int i = 0; i < 4 * 64; ++i) matrix.values.push_back(1 + 1e-4f * random.normal());
  const double rank = effective_rank(matrix);
  EXPECT_GT(rank, 2);
  EXPECT_LE(rank, 3 + 1e-9);
}

TEST(EffectiveRank, OfWhatIsNotFiniteIsNotANumber) {
  EXPECT_TRUE(std::isnan(effective_rank({2, 2, {1, 2, std::nanf(""), 4}})));
}

TEST(MeanPairwiseCosine, IsTheMeanOverPairs) {
  // Pairs: (a, a') = 1, (a, b) = (a', b) = 0.
  const Matrix matrix{3, 2, {1, 0, 2, 0, 0, 3}};
  EXPECT_NEAR(mean_pairwise_cosine(matrix), 1.0 / 3, 1e-12);
}

}  // namespace
}  // namespace barcodemae
