// SPDX-License-Identifier: MIT
#include "analysis/leading_eigenvectors.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/one_openmp_thread.h"
#include "base/random.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr int kDegree = 40;                 // of the filter
constexpr int kMostRounds = 10;             // of filter and projection
constexpr double kStandstill = 1e-6;        // of the eigenvalues
constexpr std::int64_t kSummedRows = 2048;  // rows whose products are summed as one

using MatrixXd = Eigen::MatrixXd;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// More columns than asked for make the wanted ones converge; SIMD likes round numbers.
std::int64_t block_columns(std::int64_t size, std::int64_t count) {
  return std::min(size, (count + 12 + 15) / 16 * 16);
}

auto rows_of(std::vector<float>& block, std::int64_t columns, std::int64_t first,
             std::int64_t count) {
  return Eigen::Map<RowMajor>(block.data() + first * columns, count, columns);
}

/// aᵀ b, added up piece by piece in order.
MatrixXd product(std::vector<float>& a, std::vector<float>& b, std::int64_t columns) {
  const std::int64_t rows = static_cast<std::int64_t>(a.size()) / columns;
  const std::int64_t pieces = (rows + kSummedRows - 1) / kSummedRows;
  std::vector<MatrixXd> parts(static_cast<std::size_t>(pieces));
  parallel_for(pieces, [&](std::int64_t piece, int) {
    const OneOpenMpThread one_thread;
    const std::int64_t first = piece * kSummedRows, count = std::min(kSummedRows, rows - first);
    const MatrixXd left = rows_of(a, columns, first, count).cast<double>();
    const MatrixXd right = rows_of(b, columns, first, count).cast<double>();
    parts[static_cast<std::size_t>(piece)] = left.transpose() * right;
  });
  MatrixXd sum = MatrixXd::Zero(columns, columns);
  for (const MatrixXd& part : parts) sum += part;
  return sum;
}

/// block ← block · transform, [columns × kept] in the first columns; the others become 0.
void transform_rows(std::vector<float>& block, std::int64_t columns, const MatrixXd& transform) {
  const std::int64_t rows = static_cast<std::int64_t>(block.size()) / columns;
  parallel_for((rows + kSummedRows - 1) / kSummedRows, [&](std::int64_t piece, int) {
    const OneOpenMpThread one_thread;
    const std::int64_t first = piece * kSummedRows, count = std::min(kSummedRows, rows - first);
    auto part = rows_of(block, columns, first, count);
    const MatrixXd turned = part.cast<double>() * transform;
    part.setZero();
    part.leftCols(transform.cols()) = turned.cast<float>();
  });
}

/// Turns x into approximate eigenvectors, the best that its span holds, largest value first.
/// Returns their values; fewer than columns when some depended on others.
Eigen::VectorXd project(const SymmetricOperator& operation, std::vector<float>& x,
                        std::vector<float>& scratch, std::int64_t columns) {
  operation.apply(x, scratch, columns);
  MatrixXd gram = product(x, x, columns), projected = product(x, scratch, columns);
  const OneOpenMpThread one_thread;
  const Eigen::VectorXd scale =
      gram.diagonal().array().max(std::numeric_limits<double>::min()).rsqrt();
  gram = scale.asDiagonal() * gram * scale.asDiagonal();
  const Eigen::SelfAdjointEigenSolver<MatrixXd> basis(gram);
  constexpr double kDependent = 1e-9;
  std::int64_t kept = 0;
  for (const double value : basis.eigenvalues()) {
    kept += value > kDependent * static_cast<double>(columns);
  }
  BARCODEMAE_CHECK(kept > 0, "no direction is left of {}", columns);
  const MatrixXd orthonormal = scale.asDiagonal() * basis.eigenvectors().rightCols(kept) *
                               basis.eigenvalues().tail(kept).array().rsqrt().matrix().asDiagonal();
  projected = orthonormal.transpose() * projected * orthonormal;
  projected = ((projected + projected.transpose()) / 2).eval();
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(projected);
  transform_rows(x, columns, orthonormal * solver.eigenvectors().rowwise().reverse());
  return solver.eigenvalues().reverse();
}

/// x ← T(S) x with the Chebyshev polynomial that is small on [−1, cut] and grows above.
void filter(const SymmetricOperator& operation, double cut, std::vector<float>& x,
            std::vector<float>& before, std::vector<float>& next, std::int64_t columns) {
  const auto half = static_cast<float>((cut + 1) / 2), centre = static_cast<float>((cut - 1) / 2);
  const auto step = [&](float factor, bool first) {
    operation.apply(x, next, columns);
    const auto size = static_cast<std::int64_t>(x.size());
    constexpr std::int64_t kValues = 1 << 16;
    parallel_for((size + kValues - 1) / kValues, [&](std::int64_t piece, int) {
      const auto last = static_cast<std::size_t>(std::min(size, (piece + 1) * kValues));
      for (auto i = static_cast<std::size_t>(piece * kValues); i < last; ++i) {
        next[i] = factor * (next[i] - centre * x[i]) - (first ? 0 : before[i]);
      }
    });
    std::swap(before, x);
    std::swap(x, next);
  };
  step(1 / half, true);
  for (int degree = 2; degree <= kDegree; ++degree) step(2 / half, false);
}

}  // namespace

Matrix leading_eigenvectors(const SymmetricOperator& operation, std::int64_t count,
                            std::uint64_t seed) {
  BARCODEMAE_CHECK(count > 0 && count <= operation.size, "{} eigenvectors of {}", count,
                   operation.size);
  const std::int64_t size = operation.size, columns = block_columns(size, count);
  std::vector<float> x(static_cast<std::size_t>(size * columns));
  RandomSequence random(seed, Stream::kInitialisation);
  for (float& value : x) value = static_cast<float>(random.normal());
  std::vector<float> before(x.size()), next(x.size());
  Eigen::VectorXd values = project(operation, x, next, columns);
  for (int round = 0; round < kMostRounds; ++round) {
    // From a cut of 0 on, the filter stays within the numbers of float32.
    constexpr double kNarrowest = 1 - 1e-7;
    const double cut = std::clamp(values[values.size() - 1], 0.0, kNarrowest);
    filter(operation, cut, x, before, next, columns);
    const Eigen::VectorXd last = values;
    values = project(operation, x, next, columns);
    const auto compared = std::min<std::int64_t>({count, values.size(), last.size()});
    if ((values.head(compared) - last.head(compared)).cwiseAbs().maxCoeff() < kStandstill) break;
  }
  Matrix vectors{size, count, std::vector<float>(static_cast<std::size_t>(size * count))};
  for (std::int64_t row = 0; row < size; ++row) {
    std::copy_n(x.data() + row * columns, count, vectors.row(row).data());
  }
  return vectors;
}

double leading_eigenvectors_memory_bytes(std::int64_t size, std::int64_t count) {
  const std::int64_t per_row = 3 * block_columns(size, count) + count;
  return static_cast<double>(size * per_row) * sizeof(float);
}

}  // namespace barcodemae
