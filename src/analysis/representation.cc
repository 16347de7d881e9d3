// SPDX-License-Identifier: MIT
#include "analysis/representation.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "analysis/covariance.h"
#include "analysis/nearest.h"
#include "base/error.h"
#include "base/threads.h"

namespace barcodemae {
double effective_rank(const Matrix& matrix) {
  constexpr std::int64_t kMostRows = 10'000;
  if (matrix.rows < 2) return 0;
  if (matrix.rows > kMostRows) {
    Matrix sample{kMostRows, matrix.cols, {}};
    sample.values.reserve(static_cast<std::size_t>(kMostRows * matrix.cols));
    for (std::int64_t r = 0; r < kMostRows; ++r) {
      const auto row = matrix.row(r * matrix.rows / kMostRows);
      sample.values.insert(sample.values.end(), row.begin(), row.end());
    }
    return effective_rank(sample);
  }
  const std::int64_t n = matrix.cols;
  const std::vector<double> means = column_means(matrix);
  std::vector<double> covariance(static_cast<std::size_t>(n * n));
  // Each task owns some rows of the covariance and adds up all vectors in order.
  constexpr std::int64_t kRows = 16;
  parallel_for((n + kRows - 1) / kRows, [&](std::int64_t task, int) {
    const std::int64_t first = task * kRows, last = std::min(n, first + kRows);
    std::vector<double> centred(static_cast<std::size_t>(n));
    for (std::int64_t r = 0; r < matrix.rows; ++r) {
      const auto row = matrix.row(r);
      for (std::size_t c = 0; c < centred.size(); ++c) centred[c] = row[c] - means[c];
      for (std::int64_t i = first; i < last; ++i) {
        const double value = centred[static_cast<std::size_t>(i)];
        double* out = covariance.data() + i * n;
        for (std::int64_t j = 0; j < n; ++j) out[j] += value * centred[static_cast<std::size_t>(j)];
      }
    }
  });
  const Eigen::Map<const Eigen::MatrixXd> mapped(covariance.data(), n, n);
  if (!mapped.allFinite()) return std::numeric_limits<double>::quiet_NaN();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(mapped, Eigen::EigenvaluesOnly);
  BARCODEMAE_CHECK(solver.info() == Eigen::Success, "no eigenvalues of {} dimensions", n);
  return effective_rank_of({solver.eigenvalues().begin(), solver.eigenvalues().end()});
}

double mean_pairwise_cosine(const Matrix& matrix) {
  if (matrix.rows < 2) return 0;
  // |Σ x̂|² = rows with length + Σ over ordered pairs of their cosine.
  std::vector<double> sum(static_cast<std::size_t>(matrix.cols), 0.0);
  double lengths = 0;
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    const auto row = matrix.row(r);
    double square = 0;
    for (const float value : row) square += double{value} * value;
    if (square == 0) continue;
    lengths += 1;
    const double scale = 1 / std::sqrt(square);
    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += row[c] * scale;
  }
  double square = 0;
  for (const double value : sum) square += value * value;
  const auto rows = static_cast<double>(matrix.rows);
  return (square - lengths) / (rows * (rows - 1));
}

}  // namespace barcodemae
