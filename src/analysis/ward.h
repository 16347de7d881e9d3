// SPDX-License-Identifier: MIT
// Agglomerative clustering by Ward's criterion, from vectors: no matrix of distances.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analysis/nearest.h"

namespace barcodemae {

/// One row of the linkage: the clusters that become one. The first n clusters are the points; the
/// merge in row r makes cluster n + r.
struct Merge {
  std::int32_t first = 0, second = 0;  ///< first < second
  /// sqrt(2 · the increase of the sum of squares): for two points their distance.
  double height = 0;
  std::int32_t size = 0;  ///< points in the new cluster
};

/// All n − 1 merges by ascending height, as scipy.cluster.hierarchy.ward orders and numbers them
/// (Ward, "Hierarchical grouping to optimize an objective function", JASA 1963), by chains of
/// nearest neighbours among centroids (Murtagh, "A survey of recent advances in hierarchical
/// clustering algorithms", 1983). Time is at most quadratic, memory linear in the points. Of
/// equally near clusters the one with the lowest point is taken. The numbers must be finite. Shows
/// progress under `title` unless it is empty.
std::vector<Merge> ward_linkage(const RowSource& points, const std::string& title = {});

/// The partition when `clusters` are left (1 … points): the number of each point's cluster, in
/// order of their first points.
std::vector<std::int32_t> cut_linkage(std::span<const Merge> linkage, std::int64_t clusters);

/// Bytes that ward_linkage needs beside the points.
double ward_memory_bytes(std::int64_t points, std::int64_t dimensions);

}  // namespace barcodemae
