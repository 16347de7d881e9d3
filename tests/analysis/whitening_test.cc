// SPDX-License-Identifier: MIT
#include "analysis/whitening.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/threads.h"
#include "readouts.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

/// Columns that depend on each other, of very different scales.
Matrix correlated(std::int64_t rows, std::int64_t cols) {
  Matrix matrix{rows, cols, {}};
  RandomSequence random(3, Stream::kSimulate);
  for (std::int64_t r = 0; r < rows; ++r) {
    double last = 0;
    for (std::int64_t c = 0; c < cols; ++c) {
      last = 0.7 * last + random.normal() * std::pow(10, -3.0 * static_cast<double>(c % 7) / 7);
      matrix.values.push_back(static_cast<float>(last + 5));
    }
  }
  return matrix;
}

Matrix mapped(const Readout& map, const Matrix& vectors) {
  Matrix result{vectors.rows, map.dimensions(), {}};
  result.values.resize(static_cast<std::size_t>(result.rows * result.cols));
  for (std::int64_t r = 0; r < vectors.rows; ++r) {
    std::ranges::copy(read_out(map, vectors.row(r)), result.row(r).begin());
  }
  return result;
}

std::string message_of(const Matrix& vectors, const WhiteningOptions& options) {
  return user_error([&] { fit_whitening(vectors, options); });
}

TEST(Whitening, MakesTheCovarianceOfTheFittedVectorsTheIdentity) {
  // More rows than a chunk, more columns than a tile.
  const Matrix vectors = correlated(1500, 150);
  const Whitening whitening = fit_whitening(vectors, {.components = 40, .shrinkage = 0});
  const Matrix white = mapped(whitening.map, vectors);
  ASSERT_EQ(white.cols, 40);
  for (std::size_t i = 0; i < 40; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = 0, mean = 0;
      for (std::int64_t r = 0; r < white.rows; ++r) {
        sum += double{white.row(r)[i]} * white.row(r)[j];
        mean += white.row(r)[i];
      }
      EXPECT_NEAR(sum / 1499, i == j ? 1 : 0, 1e-4) << i << " " << j;
      EXPECT_NEAR(mean / 1500, 0, 1e-5) << i;
    }
  }
  EXPECT_NEAR(whitening.rank_after, 40, 1e-6);
  EXPECT_LT(whitening.rank_before, 40);
}

TEST(Whitening, AgreesWithNumPy) {
  // v, u = numpy.linalg.eigh(numpy.cov(x.T)); v, u = v[::-1], u[:, ::-1], largest entry positive;
  // (u / numpy.sqrt(v + 0.1 * v.mean())).T
  const Matrix x{5, 3, {1, 2, 0, -1, 0.5f, 3, 2, 2, 1, 0, -3, 0.25f, 4, 1, -2}};
  const Whitening whitening = fit_whitening(x, {.components = 3, .shrinkage = 0.1});
  const double variances[] = {7.01933618, 3.93289515, 0.26026868};
  const double means[] = {1.2, 0.5, 0.45};
  const double matrix[] = {0.25961524, 0.15931518, -0.20610704, -0.0673406, 0.41480084,
                           0.23580672, 0.87207073, -0.33547211, 0.83916131};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(whitening.variances[i], variances[i], 1e-7);
    EXPECT_NEAR(whitening.map.mean[i], means[i], 1e-7);
  }
  for (std::size_t i = 0; i < 9; ++i) {
    EXPECT_NEAR(whitening.map.matrix.values[i], matrix[i], 1e-7);
  }
  EXPECT_NEAR(whitening.rank_before, 2.112836300951031, 1e-9);
  EXPECT_NEAR(whitening.rank_after, 2.8295051705388996, 1e-9);
}

TEST(Whitening, KeepsWhatMattersByDefault) {
  Matrix vectors = correlated(400, 30);
  for (std::int64_t r = 0; r < vectors.rows; ++r) {  // two that others tell, one that never varies
    const auto row = vectors.row(r);
    row[10] = row[3];
    row[11] = 2 * row[4];
    row[12] = 1;
  }
  EXPECT_EQ(fit_whitening(vectors, {}).map.dimensions(), 27);
  // As few records as a class of students has.
  EXPECT_EQ(fit_whitening(correlated(12, 30), {}).map.dimensions(), 11);
}

TEST(Whitening, IsTheSameForAnyNumberOfThreads) {
  const Matrix vectors = correlated(1100, 140);
  const int threads = thread_count();
  set_thread_count(1);
  const Whitening one = fit_whitening(vectors, {});
  set_thread_count(3);
  const Whitening three = fit_whitening(vectors, {});
  set_thread_count(threads);
  EXPECT_EQ(one.map.matrix.values, three.map.matrix.values);
  EXPECT_EQ(one.map.mean, three.map.mean);
}

TEST(Whitening, RefusesWhatCannotBeWhitened) {
  EXPECT_THAT(message_of(correlated(10, 30), {.components = 10}), HasSubstr("10 records are too"));
  EXPECT_THAT(message_of(correlated(1, 30), {}), HasSubstr("1 records are too few"));
  const Matrix equal{5, 3, std::vector<float>(15, 2.0f)};
  EXPECT_THAT(message_of(equal, {}), HasSubstr("the vectors of all 5 records are the same"));
  Matrix flat = correlated(50, 4);
  for (std::int64_t r = 0; r < 50; ++r) flat.row(r)[2] = flat.row(r)[1];
  EXPECT_THAT(message_of(flat, {.components = 4}), HasSubstr("vary in 3 directions only"));
}

}  // namespace
}  // namespace barcodemae
