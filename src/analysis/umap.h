// SPDX-License-Identifier: MIT
// UMAP (McInnes, Healy and Melville, arXiv 1802.03426): few dimensions that keep neighbours.
#pragma once

#include <cstdint>
#include <string>

#include "analysis/nearest.h"
#include "analysis/neighbour_graph.h"

namespace barcodemae {

/// Defaults are those of umap-learn but for components.
struct UmapOptions {
  int components = 50;
  int neighbours = 15;  ///< the point itself counted, as umap-learn does; at least 2
  double min_dist = 0.1, spread = 1;
  int epochs = 0;  ///< 0: 500 up to 10,000 points, 200 beyond
  int negative_samples = 5;
  std::uint64_t seed = 1;
};

/// The curve 1 / (1 + a d^2b) that is nearest, by least squares, to one that is 1 up to min_dist
/// and falls as exp(−(d − min_dist) / spread) beyond.
struct UmapCurve {
  double a = 0, b = 0;
};
UmapCurve fit_umap_curve(double min_dist, double spread);

/// How many epochs the layout of so many points takes.
int umap_epochs(std::int64_t points, const UmapOptions& options);

/// Raised whenever the same options come to give another layout, for whoever keeps results.
inline constexpr int kUmapRevision = 2;

/// [points × components] by cosine distance. The same bits for any number of threads. Fewer points
/// than neighbours: all others are neighbours. Shows progress.
Matrix umap(const RowSource& points, const UmapOptions& options);

/// Bytes that it needs beside the points.
double umap_memory_bytes(std::int64_t points, std::int64_t dimensions, const UmapOptions& options);

}  // namespace barcodemae
