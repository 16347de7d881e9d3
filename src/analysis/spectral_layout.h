// SPDX-License-Identifier: MIT
// Where UMAP's optimisation begins.
#pragma once

#include <cstdint>

#include "analysis/fuzzy_graph.h"
#include "analysis/nearest.h"

namespace barcodemae {

/// The eigenvectors of the graph's normalised Laplacian after the first, as coordinates [points ×
/// components], as umap-learn begins. When the graph falls apart, each part is laid out by itself
/// around a place of its own: the parts' mean vectors (of `points`) are laid out in the same way,
/// or put on the axes when there are few. Parts of fewer than 2 · components points are scattered
/// at random.
Matrix spectral_layout(const WeightedGraph& graph, const RowSource& points, int components,
                       std::uint64_t seed);

}  // namespace barcodemae
