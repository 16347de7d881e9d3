// SPDX-License-Identifier: MIT
// The nearest neighbours of every point among the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/nearest.h"

namespace barcodemae {

struct NeighbourGraph {
  std::int64_t points = 0;
  int neighbours = 0;                 ///< of each point, itself not counted
  std::vector<std::int32_t> indices;  ///< [points × neighbours], nearest first, ties to the lowest
  std::vector<float> distances;       ///< 1 − cosine, ≥ 0, as float32 tells it from 0
};

/// Exact, by products of blocks: time is quadratic. `neighbours` below the number of points.
NeighbourGraph cosine_neighbour_graph(const RowSource& points, int neighbours,
                                      const std::string& title = {});

/// Bytes that it needs, beside the points.
double neighbour_graph_memory_bytes(std::int64_t points, std::int64_t dimensions, int neighbours);

}  // namespace barcodemae
