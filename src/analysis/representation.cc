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

namespace barcodemae {
double effective_rank(const Matrix& matrix) {
  constexpr std::int64_t kMostRows = 10'000;
  if (matrix.rows < 2) return 0;
  if (matrix.rows > kMostRows) return effective_rank(evenly_spaced_rows(matrix, kMostRows));
  const Eigen::MatrixXd covariance = covariance_of(matrix, column_means(matrix));
  if (!covariance.allFinite()) return std::numeric_limits<double>::quiet_NaN();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance, Eigen::EigenvaluesOnly);
  BARCODEMAE_CHECK(solver.info() == Eigen::Success, "no eigenvalues of {} dimensions", matrix.cols);
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
