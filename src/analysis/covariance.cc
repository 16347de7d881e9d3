// SPDX-License-Identifier: MIT
#include "analysis/covariance.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/one_openmp_thread.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kChunk = 1024;  // rows whose products are summed as one
constexpr std::int64_t kTile = 128;    // columns of the covariance per task

}  // namespace

// Every task owns a tile and adds up all rows in order.
Eigen::MatrixXd covariance_of(const Matrix& vectors, const std::vector<double>& means) {
  const std::int64_t n = vectors.cols, tiles = (n + kTile - 1) / kTile;
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
  for (std::int64_t i = 0; i < tiles; ++i) {
    for (std::int64_t j = i; j < tiles; ++j) pairs.emplace_back(i * kTile, j * kTile);
  }
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(n, n);
  for (std::int64_t first = 0; first < vectors.rows; first += kChunk) {
    const std::int64_t rows = std::min(kChunk, vectors.rows - first);
    Eigen::MatrixXd centred(rows, n);
    parallel_for(tiles, [&](std::int64_t tile, int) {
      for (std::int64_t c = tile * kTile; c < std::min(n, (tile + 1) * kTile); ++c) {
        const auto column = static_cast<std::size_t>(c);
        for (std::int64_t r = 0; r < rows; ++r) {
          centred(r, c) = vectors.row(first + r)[column] - means[column];
        }
      }
    });
    parallel_for(static_cast<std::int64_t>(pairs.size()), [&](std::int64_t pair, int) {
      const OneOpenMpThread one_thread;
      const auto [i, j] = pairs[static_cast<std::size_t>(pair)];
      const std::int64_t height = std::min(kTile, n - i), width = std::min(kTile, n - j);
      covariance.block(i, j, height, width).noalias() +=
          centred.middleCols(i, height).transpose() * centred.middleCols(j, width);
    });
  }
  covariance /= static_cast<double>(vectors.rows - 1);
  covariance.triangularView<Eigen::StrictlyLower>() = covariance.transpose();
  return covariance;
}

Matrix evenly_spaced_rows(const Matrix& vectors, std::int64_t most) {
  Matrix rows{std::min(vectors.rows, most), vectors.cols, {}};
  rows.values.reserve(static_cast<std::size_t>(rows.rows * rows.cols));
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const auto row = vectors.row(r * vectors.rows / rows.rows);
    rows.values.insert(rows.values.end(), row.begin(), row.end());
  }
  return rows;
}

double sign_of(const Eigen::VectorXd& direction) {
  Eigen::Index largest = 0;
  direction.cwiseAbs().maxCoeff(&largest);
  return direction[largest] < 0 ? -1 : 1;
}

double effective_rank_of(const std::vector<double>& variances) {
  double total = 0, entropy = 0;
  for (const double variance : variances) total += std::max(0.0, variance);
  if (total <= 0) return 0;
  for (const double variance : variances) {
    const double share = std::max(0.0, variance) / total;
    if (share > 0) entropy -= share * std::log(share);
  }
  return std::exp(entropy);
}

}  // namespace barcodemae
