// SPDX-License-Identifier: MIT
#include "analysis/representation.h"

#include <algorithm>
#include <cmath>

#include "analysis/nearest.h"
#include "base/error.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

/// Householder reduction of a symmetric matrix to tridiagonal form: diagonal and subdiagonal.
void tridiagonalise(std::vector<double>& a, std::int64_t n, std::vector<double>& diagonal,
                    std::vector<double>& below) {
  const auto at = [&](std::int64_t row, std::int64_t col) -> double& {
    return a[static_cast<std::size_t>(row * n + col)];
  };
  std::vector<double> v(static_cast<std::size_t>(n)), p(static_cast<std::size_t>(n));
  for (std::int64_t k = 0; k + 2 < n; ++k) {
    double norm = 0;
    for (std::int64_t i = k + 1; i < n; ++i) norm += at(i, k) * at(i, k);
    norm = std::sqrt(norm);
    below[static_cast<std::size_t>(k)] = at(k + 1, k) > 0 ? -norm : norm;
    if (norm == 0) continue;
    // v reflects column k below the diagonal onto ∓norm · e₁.
    for (std::int64_t i = k + 1; i < n; ++i) v[static_cast<std::size_t>(i)] = at(i, k);
    v[static_cast<std::size_t>(k + 1)] -= below[static_cast<std::size_t>(k)];
    double square = 0;
    for (std::int64_t i = k + 1; i < n; ++i) {
      square += v[static_cast<std::size_t>(i)] * v[static_cast<std::size_t>(i)];
    }
    const double beta = 2 / square;
    double inner = 0;
    for (std::int64_t i = k + 1; i < n; ++i) {
      double sum = 0;
      for (std::int64_t j = k + 1; j < n; ++j) sum += at(i, j) * v[static_cast<std::size_t>(j)];
      p[static_cast<std::size_t>(i)] = beta * sum;
      inner += p[static_cast<std::size_t>(i)] * v[static_cast<std::size_t>(i)];
    }
    for (std::int64_t i = k + 1; i < n; ++i) {
      p[static_cast<std::size_t>(i)] -= 0.5 * beta * inner * v[static_cast<std::size_t>(i)];
    }
    for (std::int64_t i = k + 1; i < n; ++i) {
      const double vi = v[static_cast<std::size_t>(i)], pi = p[static_cast<std::size_t>(i)];
      for (std::int64_t j = k + 1; j < n; ++j) {
        at(i, j) -= vi * p[static_cast<std::size_t>(j)] + pi * v[static_cast<std::size_t>(j)];
      }
    }
  }
  for (std::int64_t i = 0; i < n; ++i) diagonal[static_cast<std::size_t>(i)] = at(i, i);
  if (n >= 2) below[static_cast<std::size_t>(n - 2)] = at(n - 1, n - 2);
}

/// Implicit QL with Wilkinson shifts on a tridiagonal matrix; eigenvalues replace the diagonal.
void implicit_ql(std::vector<double>& diagonal, std::vector<double>& below) {
  const std::size_t n = diagonal.size();
  below.resize(n, 0.0);
  for (std::size_t low = 0; low < n; ++low) {
    for (int iteration = 0;; ++iteration) {
      std::size_t split = low;
      for (; split + 1 < n; ++split) {
        const double size = std::abs(diagonal[split]) + std::abs(diagonal[split + 1]);
        if (std::abs(below[split]) <= 1e-16 * size) break;
      }
      if (split == low) break;
      BARCODEMAE_CHECK(iteration < 60, "no convergence at eigenvalue {}", low);
      double shift = (diagonal[low + 1] - diagonal[low]) / (2 * below[low]);
      shift = diagonal[split] - diagonal[low] +
              below[low] / (shift + std::copysign(std::hypot(shift, 1.0), shift));
      double sine = 1, cosine = 1, carried = 0;
      bool deflated = false;
      for (std::size_t i = split; i-- > low;) {
        const double f = sine * below[i], b = cosine * below[i];
        const double radius = std::hypot(f, shift);
        below[i + 1] = radius;
        if (radius == 0) {
          diagonal[i + 1] -= carried;
          below[split] = 0;
          deflated = true;
          break;
        }
        sine = f / radius;
        cosine = shift / radius;
        const double g = diagonal[i + 1] - carried;
        const double r = (diagonal[i] - g) * sine + 2 * cosine * b;
        carried = sine * r;
        diagonal[i + 1] = g + carried;
        shift = cosine * r - b;
      }
      if (deflated) continue;
      diagonal[low] -= carried;
      below[low] = shift;
      below[split] = 0;
    }
  }
}

}  // namespace

std::vector<double> symmetric_eigenvalues(std::vector<double> matrix, std::int64_t n) {
  BARCODEMAE_CHECK(static_cast<std::int64_t>(matrix.size()) == n * n, "{} values for n = {}",
                   matrix.size(), n);
  std::vector<double> diagonal(static_cast<std::size_t>(n)),
      below(static_cast<std::size_t>(n), 0.0);
  tridiagonalise(matrix, n, diagonal, below);
  implicit_ql(diagonal, below);
  std::sort(diagonal.begin(), diagonal.end());
  return diagonal;
}

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
  const std::vector<double> eigenvalues = symmetric_eigenvalues(std::move(covariance), n);
  double total = 0;
  for (const double value : eigenvalues) total += std::max(0.0, value);
  if (total <= 0) return 0;
  double entropy = 0;
  for (const double value : eigenvalues) {
    const double share = std::max(0.0, value) / total;
    if (share > 0) entropy -= share * std::log(share);
  }
  return std::exp(entropy);
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
