// SPDX-License-Identifier: MIT
#include "analysis/umap.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/fuzzy_graph.h"
#include "analysis/layout_kernel.h"
#include "analysis/leading_eigenvectors.h"
#include "analysis/spectral_layout.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

/// An epoch moves the vertices in this many rounds: those of a round do not see each other move,
/// all others do. Neighbours in a file are often neighbours in space and are in different rounds.
constexpr std::int64_t kRounds = 16;
constexpr std::int64_t kMovedVertices = 32;  // vertices moved as one piece of work

/// The first positions: 0 … 10 in every dimension, after a little noise, by which equal points
/// part.
void scale_layout(Matrix& layout, std::uint64_t seed) {
  constexpr double kExtent = 10, kNoise = 1e-4;
  float largest = 0;
  for (const float value : layout.values) largest = std::max(largest, std::abs(value));
  RandomSequence random(seed, Stream::kInitialisation, 2);
  const double scale = largest > 0 ? kExtent / largest : 1;
  for (float& value : layout.values) {
    value = static_cast<float>(value * scale + kNoise * random.normal());
  }
  for (std::size_t c = 0; c < static_cast<std::size_t>(layout.cols); ++c) {
    float low = std::numeric_limits<float>::infinity(), high = -low;
    for (std::int64_t row = 0; row < layout.rows; ++row) {
      low = std::min(low, layout.row(row)[c]);
      high = std::max(high, layout.row(row)[c]);
    }
    const float range = high > low ? high - low : 1;
    for (std::int64_t row = 0; row < layout.rows; ++row) {
      layout.row(row)[c] = static_cast<float>(kExtent) * (layout.row(row)[c] - low) / range;
    }
  }
}

/// Moves the vertices until connected ones are near and others are not.
void optimise(Matrix& layout, const WeightedGraph& graph, int epochs, const UmapOptions& options) {
  const UmapCurve curve = fit_umap_curve(options.min_dist, options.spread);
  const std::int64_t vertices = layout.rows;
  const std::int64_t stride = (layout.cols + kLayoutPadding - 1) / kLayoutPadding * kLayoutPadding;
  std::vector<float> positions(static_cast<std::size_t>(vertices * stride), 0.0f);
  for (std::int64_t vertex = 0; vertex < vertices; ++vertex) {
    std::copy_n(layout.row(vertex).data(), layout.cols, positions.data() + vertex * stride);
  }
  std::vector<float> epochs_per_sample;
  epochs_per_sample.reserve(graph.weights.size());
  float heaviest = 0;
  for (const float weight : graph.weights) heaviest = std::max(heaviest, weight);
  for (const float weight : graph.weights) epochs_per_sample.push_back(heaviest / weight);

  const std::int64_t most_of_a_round = (vertices + kRounds - 1) / kRounds;
  std::vector<float> moved(static_cast<std::size_t>(most_of_a_round * stride));
  std::vector<float> scratch(static_cast<std::size_t>(thread_count() * stride));
  LayoutStep step{positions.data(),
                  vertices,
                  stride,
                  graph.begins.data(),
                  graph.neighbours.data(),
                  epochs_per_sample.data(),
                  static_cast<float>(curve.a),
                  static_cast<float>(curve.b),
                  1,
                  options.negative_samples,
                  options.seed,
                  0};
  Progress progress("UMAP: layout", "epochs", epochs);
  for (int epoch = 1; epoch < epochs; ++epoch) {
    step.epoch = static_cast<std::uint32_t>(epoch);
    step.learning_rate = 1 - static_cast<float>(epoch - 1) / static_cast<float>(epochs);
    for (std::int64_t round = 0; round < std::min(kRounds, vertices); ++round) {
      const std::int64_t count = (vertices - round + kRounds - 1) / kRounds;
      parallel_for((count + kMovedVertices - 1) / kMovedVertices,
                   [&](std::int64_t piece, int thread) {
                     const std::int64_t last = std::min(count, (piece + 1) * kMovedVertices);
                     for (std::int64_t i = piece * kMovedVertices; i < last; ++i) {
                       move_vertex(step, round + i * kRounds, moved.data() + i * stride,
                                   scratch.data() + thread * stride);
                     }
                   });
      for (std::int64_t i = 0; i < count; ++i) {
        std::copy_n(moved.data() + i * stride, stride,
                    positions.data() + (round + i * kRounds) * stride);
      }
    }
    progress.update(epoch + 1);
  }
  for (std::int64_t vertex = 0; vertex < vertices; ++vertex) {
    std::copy_n(positions.data() + vertex * stride, layout.cols, layout.row(vertex).data());
  }
}

}  // namespace

int umap_epochs(std::int64_t points, const UmapOptions& options) {
  if (options.epochs > 0) return options.epochs;
  return points <= 10'000 ? 500 : 200;
}

UmapCurve fit_umap_curve(double min_dist, double spread) {
  constexpr int kPoints = 300;
  // Levenberg and Marquardt, from (1, 1).
  UmapCurve curve{1, 1};
  const auto add_up = [&](const UmapCurve& at, double* hessian, double* gradient) {
    double error = 0;
    for (int i = 0; i < kPoints; ++i) {
      const double x = 3 * spread * i / (kPoints - 1);
      const double target = x < min_dist ? 1 : std::exp(-(x - min_dist) / spread);
      const double power = x > 0 ? std::pow(x, 2 * at.b) : 0;
      const double value = 1 / (1 + at.a * power);
      const double residual = value - target;
      error += residual * residual;
      if (hessian == nullptr) continue;
      const double by_a = -value * value * power;
      const double by_b = x > 0 ? -value * value * at.a * power * 2 * std::log(x) : 0;
      hessian[0] += by_a * by_a;
      hessian[1] += by_a * by_b;
      hessian[2] += by_b * by_b;
      gradient[0] += by_a * residual;
      gradient[1] += by_b * residual;
    }
    return error;
  };
  double damping = 1e-3;
  for (int step = 0; step < 200; ++step) {
    double hessian[3] = {}, gradient[2] = {};
    const double error = add_up(curve, hessian, gradient);
    const double aa = hessian[0] * (1 + damping), bb = hessian[2] * (1 + damping);
    const double determinant = aa * bb - hessian[1] * hessian[1];
    if (determinant == 0) break;
    const UmapCurve next{curve.a - (bb * gradient[0] - hessian[1] * gradient[1]) / determinant,
                         curve.b - (aa * gradient[1] - hessian[1] * gradient[0]) / determinant};
    if (next.a > 0 && next.b > 0 && add_up(next, nullptr, nullptr) <= error) {
      curve = next;
      damping /= 10;
    } else {
      damping *= 10;
    }
  }
  return curve;
}

Matrix umap(const RowSource& points, const UmapOptions& options) {
  BARCODEMAE_CHECK(points.rows >= 2 && options.neighbours >= 2 && options.components >= 1,
                   "UMAP of {} points, {} neighbours, {} components", points.rows,
                   options.neighbours, options.components);
  const int neighbours =
      static_cast<int>(std::min<std::int64_t>(options.neighbours, points.rows)) - 1;
  const int epochs = umap_epochs(points.rows, options);
  const WeightedGraph all =
      fuzzy_graph(cosine_neighbour_graph(points, neighbours, "UMAP: neighbours"));
  float heaviest = 0;
  for (const float weight : all.weights) heaviest = std::max(heaviest, weight);
  // Whose turn would never come.
  const WeightedGraph graph = without_weak_edges(all, heaviest / static_cast<float>(epochs));
  Matrix layout = spectral_layout(graph, points, options.components, options.seed);
  scale_layout(layout, options.seed);
  optimise(layout, graph, epochs, options);
  return layout;
}

double umap_memory_bytes(std::int64_t points, std::int64_t dimensions, const UmapOptions& options) {
  // Edges in both directions, twice while they are united; then the larger of eigenvectors and
  // positions beside the layout.
  const double edges = static_cast<double>(points) * options.neighbours * 2;
  constexpr double kPerEdge = 8 + 2 * 8 + 4;
  const double graph = edges * kPerEdge;
  const double search = neighbour_graph_memory_bytes(points, dimensions, options.neighbours);
  const double beginning = leading_eigenvectors_memory_bytes(points, options.components + 1);
  const double layout = static_cast<double>(points * options.components) * sizeof(float);
  return std::max(search, graph + beginning + 2 * layout);
}

}  // namespace barcodemae
