// SPDX-License-Identifier: MIT
#include "analysis/whitening.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "analysis/covariance.h"
#include "analysis/nearest.h"
#include "base/error.h"
#include "base/one_openmp_thread.h"

namespace barcodemae {
namespace {

using MatrixXd = Eigen::MatrixXd;

/// How many components are kept.
int choose_components(const std::vector<double>& variances, int asked_for) {
  const auto end = std::find_if(variances.begin(), variances.end(), [&](double variance) {
    return !(variance > kLeastVariance * variances.front());
  });
  const auto that_matter = static_cast<int>(end - variances.begin());
  if (asked_for > that_matter) {
    throw UserError(
        "--components {}: these vectors vary in {} directions only (variance above {:g} of the "
        "largest)\nAsk for fewer components, or give more records.",
        asked_for, that_matter, kLeastVariance);
  }
  return asked_for > 0 ? asked_for : std::min(that_matter, kMostComponents);
}

}  // namespace

Whitening fit_whitening(const Matrix& vectors, const WhiteningOptions& options) {
  BARCODEMAE_CHECK(vectors.cols > 0 && vectors.cols <= kMostWhitenedColumns &&
                       options.components >= 0 && options.shrinkage >= 0,
                   "{} columns, {} components, shrinkage {}", vectors.cols, options.components,
                   options.shrinkage);
  const std::int64_t least = std::max(1, options.components) + std::int64_t{1};
  if (vectors.rows < least) {
    throw UserError(
        "{} records are too few for {} components: they span one direction less\n"
        "Give more records, or a smaller --components.",
        vectors.rows, least - 1);
  }
  const std::vector<double> means = column_means(vectors);
  const MatrixXd covariance = covariance_of(vectors, means);
  BARCODEMAE_CHECK(covariance.allFinite(), "vectors that are not finite");
  if (!(covariance.diagonal().maxCoeff() > 0)) {
    throw UserError(
        "the vectors of all {} records are the same: there is nothing to whiten\n"
        "Give other records, or a model that tells them apart.",
        vectors.rows);
  }
  const OneOpenMpThread one_thread;
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(covariance);
  BARCODEMAE_CHECK(solver.info() == Eigen::Success, "no eigenvectors of {} dimensions",
                   vectors.cols);

  const Eigen::VectorXd descending = solver.eigenvalues().reverse();
  std::vector<double> variances(descending.begin(), descending.end());
  const double added =
      options.shrinkage * descending.sum() / static_cast<double>(descending.size());
  const int components = choose_components(variances, options.components);
  Matrix matrix{components, vectors.cols, {}};
  std::vector<double> mapped;
  for (int i = 0; i < components; ++i) {
    const double variance = variances[static_cast<std::size_t>(i)] + added;
    const auto direction = solver.eigenvectors().col(vectors.cols - 1 - i);
    const double scale = sign_of(direction) / std::sqrt(variance);
    for (const double value : direction) {
      matrix.values.push_back(static_cast<float>(value * scale));
    }
    mapped.push_back(variances[static_cast<std::size_t>(i)] / variance);
  }
  const double before = effective_rank_of(variances), after = effective_rank_of(mapped);
  return {Readout{{means.begin(), means.end()}, std::move(matrix)}, std::move(variances), before,
          after};
}

}  // namespace barcodemae
