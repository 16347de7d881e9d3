// SPDX-License-Identifier: MIT
// How well a partition agrees with labels, as scikit-learn defines it.
#pragma once

#include <cstdint>
#include <span>

namespace barcodemae {

struct ClusteringScores {
  std::int64_t samples = 0, labels = 0, clusters = 0;  ///< how many of each there are
  /// Adjusted mutual information: 1 for equal partitions, 0 on average for random ones of the same
  /// sizes. Normalised by the arithmetic mean of both entropies; the expected mutual information is
  /// exact (Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison",
  /// JMLR 2010).
  double adjusted_mutual_information = 0;
  /// Rand index adjusted for chance (Hubert and Arabie, "Comparing partitions", 1985).
  double adjusted_rand_index = 0;
  double homogeneity = 0;   ///< 1 − H(label | cluster) / H(label): clusters of one label each
  double completeness = 0;  ///< 1 − H(cluster | label) / H(cluster): labels in one cluster each
};

/// `labels` and `clusters` are any numbers, in step; at least one.
ClusteringScores score_clustering(std::span<const std::int32_t> labels,
                                  std::span<const std::int32_t> clusters);

}  // namespace barcodemae
