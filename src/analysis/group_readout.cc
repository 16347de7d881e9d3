// SPDX-License-Identifier: MIT
#include "analysis/group_readout.h"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "analysis/covariance.h"
#include "analysis/nearest.h"
#include "base/error.h"
#include "base/one_openmp_thread.h"

namespace barcodemae {
namespace {

using MatrixXd = Eigen::MatrixXd;

/// Rows of the same label averaged, in the order in which labels first come; `owner` [rows] is
/// replaced by the number of a row's mean.
Matrix means_by(const Matrix& vectors, std::vector<std::int32_t>& owner) {
  std::map<std::int32_t, std::int32_t> number;
  std::vector<double> counts;
  for (std::int32_t& label : owner) {
    const auto [found, first] = number.emplace(label, static_cast<std::int32_t>(number.size()));
    if (first) counts.push_back(0);
    label = found->second;
    ++counts[static_cast<std::size_t>(label)];
  }
  const auto width = static_cast<std::size_t>(vectors.cols);
  std::vector<double> sums(counts.size() * width, 0.0);
  for (std::int64_t r = 0; r < vectors.rows; ++r) {
    const auto row = vectors.row(r);
    double* sum =
        sums.data() + static_cast<std::size_t>(owner[static_cast<std::size_t>(r)]) * width;
    for (std::size_t c = 0; c < width; ++c) sum[c] += row[c];
  }
  Matrix means{static_cast<std::int64_t>(counts.size()), vectors.cols, {}};
  means.values.reserve(sums.size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    means.values.push_back(static_cast<float>(sums[i] / counts[i / width]));
  }
  return means;
}

/// Class means less the mean of their group, of groups of several classes.
Matrix deviations(const Matrix& class_means, std::vector<std::int32_t> group_of_class) {
  const Matrix group_means = means_by(class_means, group_of_class);
  std::vector<std::int64_t> classes(static_cast<std::size_t>(group_means.rows), 0);
  for (const std::int32_t group : group_of_class) ++classes[static_cast<std::size_t>(group)];
  Matrix result{0, class_means.cols, {}};
  for (std::int64_t i = 0; i < class_means.rows; ++i) {
    const std::int32_t group = group_of_class[static_cast<std::size_t>(i)];
    if (classes[static_cast<std::size_t>(group)] < 2) continue;
    const auto mean = group_means.row(group), row = class_means.row(i);
    for (std::size_t c = 0; c < row.size(); ++c) result.values.push_back(row[c] - mean[c]);
    ++result.rows;
  }
  return result;
}

/// Adds ε times the mean variance of each kind.
void shrink(MatrixXd& within, const GroupReadoutOptions& options) {
  std::vector<std::int64_t> kinds = options.kinds;
  if (kinds.empty()) kinds.push_back(within.rows());
  BARCODEMAE_CHECK(std::accumulate(kinds.begin(), kinds.end(), std::int64_t{0}) == within.rows(),
                   "kinds of numbers for {} columns", within.rows());
  std::int64_t first = 0;
  for (const std::int64_t count : kinds) {
    auto diagonal = within.diagonal().segment(first, count);
    const double mean = diagonal.mean();
    // A kind that never varies within groups has no say, and must not make the matrix singular.
    diagonal.array() += mean > 0 ? options.shrinkage * mean + 1e-9 * mean : 1.0;
    first += count;
  }
}

}  // namespace

int group_readout_components(std::span<const std::int32_t> classes,
                             std::span<const std::int32_t> groups, std::int64_t width,
                             int components) {
  std::map<std::int32_t, std::int32_t> group_of_class;
  for (std::size_t r = 0; r < classes.size(); ++r) group_of_class[classes[r]] = groups[r];
  std::set<std::int32_t> distinct;
  for (const auto& [one, group] : group_of_class) distinct.insert(group);
  if (distinct.size() == group_of_class.size()) {
    throw UserError(
        "no group has two classes: nothing is known of what differs within one\n"
        "Give more records, or a coarser rank.");
  }
  const auto class_count = static_cast<std::int64_t>(group_of_class.size());
  const auto most = static_cast<int>(std::min(class_count - 1, width));
  if (components > most) {
    throw UserError(
        "--components {}: {} classes of {} numbers have {} directions at most\n"
        "Ask for fewer components, or give more records.",
        components, class_count, width, most);
  }
  return components > 0 ? components : std::min(most, kMostComponents);
}

GroupReadout fit_group_readout(const Matrix& vectors, std::span<const std::int32_t> classes,
                               std::span<const std::int32_t> groups,
                               const GroupReadoutOptions& options) {
  const auto rows = static_cast<std::size_t>(vectors.rows);
  BARCODEMAE_CHECK(classes.size() == rows && groups.size() == rows && options.components >= 0 &&
                       options.shrinkage >= 0,
                   "{} rows, {} classes, {} groups", rows, classes.size(), groups.size());
  const int components =
      group_readout_components(classes, groups, vectors.cols, options.components);
  std::vector<std::int32_t> class_of_row(classes.begin(), classes.end());
  const Matrix class_means = means_by(vectors, class_of_row);
  std::vector<std::int32_t> group_of_class(static_cast<std::size_t>(class_means.rows));
  for (std::size_t r = 0; r < rows; ++r) {
    group_of_class[static_cast<std::size_t>(class_of_row[r])] = groups[r];
  }
  const Matrix within_groups = deviations(class_means, group_of_class);
  const std::vector<double> zeros(static_cast<std::size_t>(vectors.cols), 0.0);
  const std::vector<double> mean = column_means(class_means);
  MatrixXd within = covariance_of(within_groups, zeros);
  MatrixXd total = covariance_of(class_means, mean);
  BARCODEMAE_CHECK(within.allFinite() && total.allFinite(), "vectors that are not finite");
  shrink(within, options);
  const OneOpenMpThread one_thread;
  const Eigen::LLT<MatrixXd> root(within);
  BARCODEMAE_CHECK(root.info() == Eigen::Success, "no root of {} dimensions", vectors.cols);
  // T in coordinates in which S' is the identity.
  root.matrixL().solveInPlace(total);
  total.transposeInPlace();
  root.matrixL().solveInPlace(total);
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(total);
  BARCODEMAE_CHECK(solver.info() == Eigen::Success, "no eigenvectors of {} dimensions",
                   vectors.cols);
  MatrixXd directions = solver.eigenvectors().rightCols(components).rowwise().reverse();
  root.matrixU().solveInPlace(directions);

  Matrix matrix{components, vectors.cols, {}};
  std::vector<double> ratios;
  for (int i = 0; i < components; ++i) {
    const auto direction = directions.col(i);
    const double sign = sign_of(direction);
    for (const double value : direction) matrix.values.push_back(static_cast<float>(sign * value));
    ratios.push_back(solver.eigenvalues()[vectors.cols - 1 - i]);
  }
  const double rank = effective_rank_of(ratios);
  std::vector<std::int32_t> distinct(groups.begin(), groups.end());
  std::sort(distinct.begin(), distinct.end());
  return {Readout{{mean.begin(), mean.end()}, std::move(matrix)}, std::move(ratios),
          class_means.rows, std::unique(distinct.begin(), distinct.end()) - distinct.begin(), rank};
}

}  // namespace barcodemae
