// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace barcodemae {

/// Clusters compared at a time, whatever the SIMD width: the layout does not depend on the machine.
inline constexpr std::int64_t kWardLanes = 8;

struct WardNeighbour {
  double cost;
  std::int64_t slot;  ///< −1 when there is none
};

/// The cluster that is cheapest to merge with `centroid` [dimensions], which has `size` members,
/// among the groups of kWardLanes slots first … last − 1, if it costs less than `below`; ties to
/// the lowest slot. The cost is the increase of the sum of squares, size · n / (size + n) ·
/// |centroid − other|². `centroids`: groups × dimensions × lanes; `sizes`: groups × lanes, 0 for a
/// slot that holds none.
WardNeighbour cheapest_merge(const double* centroid, double size, const double* centroids,
                             const double* sizes, std::int64_t dimensions, std::int64_t first,
                             std::int64_t last, double below);

}  // namespace barcodemae
