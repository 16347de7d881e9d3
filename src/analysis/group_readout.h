// SPDX-License-Identifier: MIT
// A readout for the open world: what differs between the species of one genus counts little, what
// differs between genera counts much.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formats/npy.h"
#include "formats/readout.h"

namespace barcodemae {

struct GroupReadoutOptions {
  int components = 0;  ///< directions that are kept; 0: 512, or as many as there are
  /// ε: what is added to the variances within groups, as a share of their mean. Few classes know
  /// little about many directions; ∞ would be plain principal components.
  double shrinkage = 1;
  /// Numbers of different kinds side by side: how many there are of each. The mean is that of a
  /// kind. Empty: all are of one.
  std::vector<std::int64_t> kinds = {};
};

struct GroupReadout {
  Readout map;
  std::vector<double> ratios;  ///< of each kept direction, variance in all over that within groups
  std::int64_t classes = 0, groups = 0;  ///< of the vectors
  double rank = 0;                       ///< effective rank of the mapped class means
};

/// How many directions fit_group_readout keeps of vectors of `width` numbers of these classes and
/// groups: known before the vectors are. `components` as in its options. Throws as it does.
int group_readout_components(std::span<const std::int32_t> classes,
                             std::span<const std::int32_t> groups, std::int64_t width,
                             int components);

/// Linear discriminants with shrinkage (Rao, 1948; within-class covariance normalisation, Hatch et
/// al., 2006): with S the covariance of class means about the mean of their group, T that of class
/// means about their own mean, and S' = S + ε D, D diagonal with the mean variance of a kind, the
/// rows of the map are the leading eigenvectors v of T v = λ S' v with vᵀ S' v = 1, the entry of
/// largest magnitude positive; its mean is that of the class means. `classes` and `groups` [rows of
/// `vectors`], ≥ 0: e.g. species and genus. The same bits for any number of threads. Throws
/// UserError when no group has two classes, or there are too few classes for the components.
GroupReadout fit_group_readout(const Matrix& vectors, std::span<const std::int32_t> classes,
                               std::span<const std::int32_t> groups,
                               const GroupReadoutOptions& options);

}  // namespace barcodemae
