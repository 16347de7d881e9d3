// SPDX-License-Identifier: MIT
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "formats/npy.h"

namespace barcodemae {

/// Of the columns of `vectors` [rows ≥ 2, n] about `means` [n], divided by rows − 1; both
/// triangles. Sums are in double precision and the same for any number of threads.
Eigen::MatrixXd covariance_of(const Matrix& vectors, const std::vector<double>& means);

/// All rows, or `most` of them, evenly spaced: enough for second moments.
Matrix evenly_spaced_rows(const Matrix& vectors, std::int64_t most);

/// exp of the entropy of the shares of variances (analysis/representation.h); 0 when none is
/// positive.
double effective_rank_of(const std::vector<double>& variances);

/// −1 when the entry of largest magnitude (the first of equals) is negative, else 1: what settles
/// the sign of an eigenvector.
double sign_of(const Eigen::VectorXd& direction);

}  // namespace barcodemae
