// SPDX-License-Identifier: MIT
// Whitening: directions in which vectors vary much and little count alike.
#pragma once

#include <vector>

#include "formats/npy.h"
#include "formats/readout.h"

namespace barcodemae {

struct WhiteningOptions {
  int components = 0;  ///< leading ones that are kept; 0: all that matter, 512 at most
  /// ε: what is added to each variance, as a share of their mean, so that directions of next to no
  /// variance, which are noise, are not blown up.
  double shrinkage = 0.01;
};

struct Whitening {
  Readout map;
  std::vector<double> variances;  ///< of all principal components, descending
  /// As analysis/representation.h defines it, of the vectors as they are and of the mapped ones.
  double rank_before = 0, rank_after = 0;
};

/// A component matters when its variance exceeds this share of the largest.
inline constexpr double kLeastVariance = 1e-6;
/// Most columns: the covariance is held and decomposed as a whole.
inline constexpr int kMostWhitenedColumns = 8192;

/// Principal components of the vectors' covariance (divided by rows − 1) by an exact symmetric
/// eigensolver in double precision: row i of the map is ±uᵢ / √(λᵢ + ε · mean λ), with the sign
/// that makes the entry of largest magnitude positive. The same bits for any number of threads.
/// Throws UserError when there are fewer records than components + 1, more components asked for
/// than matter, or the vectors are all the same.
Whitening fit_whitening(const Matrix& vectors, const WhiteningOptions& options);

}  // namespace barcodemae
