// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace barcodemae {

/// Coordinates of a vertex are padded with zeros to a multiple of this.
inline constexpr std::int64_t kLayoutPadding = 16;

/// What one step of UMAP's optimisation needs to move some vertices of a graph.
struct LayoutStep {
  const float* positions;  ///< [vertices × stride], as they stand
  std::int64_t vertices, stride;
  const std::int64_t* begins;      ///< of each vertex's edges
  const std::int32_t* neighbours;  ///< at their other ends
  const float* epochs_per_sample;  ///< of each edge: ≥ 1
  float a, b;                      ///< of the curve 1 / (1 + a d^2b)
  float learning_rate;
  int negative_samples;  ///< for every edge
  std::uint64_t seed;
  std::uint32_t epoch;  ///< from 1
};

/// Where `vertex` goes: into `moved` [stride]. For each of its edges whose turn it is: towards the
/// other end, away from some random vertices, and towards the other end again, for umap-learn takes
/// an edge from either end. Each time both ends move, though for this vertex's sake only: the other
/// vertices stand still, and have their own turns. (Without that the layout of many small groups is
/// another one: docs/results.md, "BINs brought back".) `scratch` is [stride].
void move_vertex(const LayoutStep& step, std::int64_t vertex, float* moved, float* scratch);

}  // namespace barcodemae
