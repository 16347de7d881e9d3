// SPDX-License-Identifier: MIT
// UMAP's picture of data: how surely points are connected.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/neighbour_graph.h"

namespace barcodemae {

/// A symmetric graph with weights in (0, 1], by rows; no point is connected with itself.
struct WeightedGraph {
  std::vector<std::int64_t> begins = {0};  ///< of each point's edges, and the end: [points + 1]
  std::vector<std::int32_t> neighbours;    ///< ascending within a point
  std::vector<float> weights;

  std::int64_t points() const { return static_cast<std::int64_t>(begins.size()) - 1; }
};

/// The fuzzy simplicial set of McInnes, Healy and Melville, "UMAP" (arXiv 1802.03426), algorithms 2
/// and 3: exp(−(d − ρ) / σ), where ρ is the distance to the nearest point that is not the same, and
/// σ such that the weights of a point's neighbours sum to log₂(neighbours + 1); then the union p +
/// q − p q of both directions.
WeightedGraph fuzzy_graph(const NeighbourGraph& graph);

/// Without the edges below `least` weight.
WeightedGraph without_weak_edges(const WeightedGraph& graph, float least);

/// The connected component of each point, numbered in order of their first points.
std::vector<std::int32_t> connected_components(const WeightedGraph& graph);

/// The points in `members` (ascending) and the edges among them.
WeightedGraph subgraph(const WeightedGraph& graph, std::span<const std::int32_t> members);

}  // namespace barcodemae
