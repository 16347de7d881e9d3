// SPDX-License-Identifier: MIT
#include "analysis/readout_ensemble.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "analysis/covariance.h"
#include "analysis/readout_forward.h"
#include "base/error.h"
#include "base/index.h"
#include "base/one_openmp_thread.h"

namespace barcodemae {
namespace {

using Eigen::MatrixXd;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::int64_t kRowsAtOnce = 1024;  // of which hidden activations are held

/// Eigenvectors of the largest eigenvalues as rows.
MatrixXd leading_directions(const MatrixXd& moments, int count) {
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solved(moments);
  BARCODEMAE_CHECK(solved.info() == Eigen::Success, "no eigenvectors of {} dimensions",
                   moments.cols());
  MatrixXd directions(count, moments.cols());
  for (int i = 0; i < count; ++i) {
    const Eigen::VectorXd direction = solved.eigenvectors().col(moments.cols() - 1 - i);
    directions.row(i) = sign_of(direction) * direction.transpose();
  }
  return directions;
}

/// turn · matrix
MatrixXd turned(const MatrixXd& turn, const Matrix& matrix) {
  return turn *
         Eigen::Map<const RowMajor>(matrix.values.data(), matrix.rows, matrix.cols).cast<double>();
}

Matrix to_matrix(const MatrixXd& values) {
  Matrix matrix = zero_matrix(values.rows(), values.cols());
  Eigen::Map<RowMajor>(matrix.values.data(), matrix.rows, matrix.cols) = values.cast<float>();
  return matrix;
}

}  // namespace

Matrix read_out(const Readout& readout, const Matrix& vectors) {
  Matrix result{vectors.rows, readout.dimensions(), {}};
  for (std::int64_t begin = 0; begin < vectors.rows; begin += kRowsAtOnce) {
    Matrix centred = zero_matrix(std::min(kRowsAtOnce, vectors.rows - begin), vectors.cols);
    for (std::int64_t r = 0; r < centred.rows; ++r) {
      std::ranges::transform(vectors.row(begin + r), readout.mean, centred.row(r).begin(),
                             std::minus<>());
    }
    const std::vector<float> mapped = forward(readout, centred).mapped.values;
    result.values.insert(result.values.end(), mapped.begin(), mapped.end());
  }
  return result;
}

Readout combine_readouts(const std::vector<Readout>& members, const Matrix& vectors,
                         int dimensions) {
  BARCODEMAE_CHECK(!members.empty() && vectors.rows > 1, "{} readouts, {} vectors", members.size(),
                   vectors.rows);
  const std::int64_t width = members.front().dimensions(), inputs = members.front().inputs();
  const auto count = static_cast<std::int64_t>(members.size());
  BARCODEMAE_CHECK(0 < dimensions && dimensions <= count * width, "{} of {} dimensions", dimensions,
                   count * width);
  const Matrix rows = evenly_spaced_rows(vectors, kMostEnsembleRows);
  Matrix beside = zero_matrix(rows.rows, count * width);
  std::vector<double> scales;
  std::int64_t units = 0;
  for (std::int64_t m = 0; m < count; ++m) {
    const Readout& member = members[index(m)];
    BARCODEMAE_CHECK(member.dimensions() == width && member.mean == members.front().mean,
                     "readout {} is of another kind", m);
    const Matrix mapped = read_out(member, rows);
    double squares = 0;
    for (const float value : mapped.values) squares += double{value} * double{value};
    scales.push_back(std::sqrt(static_cast<double>(rows.rows) / squares));
    for (std::int64_t r = 0; r < rows.rows; ++r) {
      std::ranges::transform(
          mapped.row(r), beside.row(r).begin() + m * width,
          [scale = scales.back()](float value) { return static_cast<float>(scale * value); });
    }
    units += member.hidden_units();
  }
  const MatrixXd moments = covariance_of(beside, std::vector<double>(index(count * width)));
  const OneOpenMpThread one_thread;  // Eigen's products: several threads sum in another order
  const MatrixXd turn = leading_directions(moments, dimensions);

  MatrixXd matrix = MatrixXd::Zero(dimensions, inputs), out(dimensions, units);
  Readout result{members.front().mean, {}};
  Matrix& in = result.hidden.in;
  in.cols = units > 0 ? inputs : 0;
  for (std::int64_t m = 0; m < count; ++m) {
    const Readout& member = members[index(m)];
    const MatrixXd part = scales[index(m)] * turn.middleCols(m * width, width);
    matrix += turned(part, member.matrix);
    if (member.hidden_units() == 0) continue;
    out.middleCols(in.rows, member.hidden_units()) = turned(part, member.hidden.out);
    const std::vector<float>& values = member.hidden.in.values;
    in.values.insert(in.values.end(), values.begin(), values.end());
    in.rows += member.hidden_units();
  }
  result.matrix = to_matrix(matrix);
  if (units > 0) result.hidden.out = to_matrix(out);
  return result;
}

}  // namespace barcodemae
