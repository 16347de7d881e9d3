// SPDX-License-Identifier: MIT
#include "analysis/neighbour_graph.h"

#include "base/error.h"

namespace barcodemae {

NeighbourGraph cosine_neighbour_graph(const RowSource& points, int neighbours,
                                      const std::string& title) {
  BARCODEMAE_CHECK(neighbours > 0 && neighbours < points.rows, "{} neighbours among {} points",
                   neighbours, points.rows);
  // One more, for most points find themselves.
  const int searched = neighbours + 1;
  const std::vector<Neighbour> found = nearest_by_cosine(points, points, searched, title);
  NeighbourGraph graph{points.rows, neighbours, {}, {}};
  graph.indices.reserve(static_cast<std::size_t>(points.rows * neighbours));
  graph.distances.reserve(graph.indices.capacity());
  for (std::int64_t point = 0; point < points.rows; ++point) {
    int taken = 0;
    for (int n = 0; n < searched && taken < neighbours; ++n) {
      const Neighbour& neighbour = found[static_cast<std::size_t>(point * searched + n)];
      if (neighbour.key == point) continue;
      // Vectors that differ in length alone are 0 apart but for rounding.
      constexpr float kRounding = 1e-6f;
      const float distance = 1 - neighbour.similarity;
      graph.indices.push_back(static_cast<std::int32_t>(neighbour.key));
      graph.distances.push_back(distance < kRounding ? 0 : distance);
      ++taken;
    }
  }
  return graph;
}

double neighbour_graph_memory_bytes(std::int64_t points, std::int64_t dimensions, int neighbours) {
  // A normalised copy of the points and a few blocks; candidates (their lists double while they
  // grow), results, the graph; oneDNN's own.
  constexpr double kLibrary = 40e6;
  const std::int64_t per_point = dimensions * 4 + 3 * (neighbours + 1 + kSpareCandidates) * 16 +
                                 40 + (neighbours + 1) * 16 + neighbours * 8;
  constexpr std::int64_t kBlockRows = 8 * 1024;
  return static_cast<double>(points * per_point + kBlockRows * dimensions * 4) + kLibrary;
}

}  // namespace barcodemae
