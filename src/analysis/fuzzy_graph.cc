// SPDX-License-Identifier: MIT
#include "analysis/fuzzy_graph.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kPiece = 1024;

/// ρ and σ of one point (smooth nearest-neighbour distances). `mean` is over all distances.
struct Kernel {
  double rho = 0, sigma = 1;
};
Kernel kernel_of(std::span<const float> distances, double mean_of_all) {
  Kernel kernel;
  double sum_of_distances = 0;
  for (const float distance : distances) {
    sum_of_distances += distance;
    if (kernel.rho == 0 && distance > 0) kernel.rho = distance;
  }
  constexpr int kSteps = 64;
  constexpr double kTolerance = 1e-5;
  const double target = std::log2(static_cast<double>(distances.size()) + 1);
  double low = 0, high = std::numeric_limits<double>::infinity();
  for (int step = 0; step < kSteps; ++step) {
    double sum = 0;
    for (const float distance : distances) {
      sum += std::exp(-std::max(0.0, distance - kernel.rho) / kernel.sigma);
    }
    if (std::abs(sum - target) < kTolerance) break;
    if (sum > target) {
      high = kernel.sigma;
      kernel.sigma = (low + high) / 2;
    } else {
      low = kernel.sigma;
      kernel.sigma = std::isinf(high) ? kernel.sigma * 2 : (low + high) / 2;
    }
  }
  // Not below a thousandth of the mean distance, the point itself counted.
  constexpr double kLeastScale = 1e-3;
  const double own_mean = sum_of_distances / (static_cast<double>(distances.size()) + 1);
  kernel.sigma = std::max(kernel.sigma, kLeastScale * (kernel.rho > 0 ? own_mean : mean_of_all));
  return kernel;
}

struct Edge {
  std::int32_t to;
  float weight;
};

}  // namespace

WeightedGraph fuzzy_graph(const NeighbourGraph& graph) {
  const auto neighbours = static_cast<std::size_t>(graph.neighbours);
  double mean = 0;
  for (const float distance : graph.distances) mean += distance;
  mean /= static_cast<double>(graph.points) * (graph.neighbours + 1);

  std::vector<float> strengths(graph.distances.size());
  parallel_for((graph.points + kPiece - 1) / kPiece, [&](std::int64_t piece, int) {
    const std::int64_t last = std::min(graph.points, (piece + 1) * kPiece);
    for (std::int64_t point = piece * kPiece; point < last; ++point) {
      const std::size_t begin = static_cast<std::size_t>(point) * neighbours;
      const std::span<const float> distances(graph.distances.data() + begin, neighbours);
      const Kernel kernel = kernel_of(distances, mean);
      for (std::size_t n = 0; n < neighbours; ++n) {
        strengths[begin + n] =
            static_cast<float>(std::exp(-std::max(0.0, distances[n] - kernel.rho) / kernel.sigma));
      }
    }
  });

  // Both directions in one list per point.
  const auto points = static_cast<std::size_t>(graph.points);
  std::vector<std::int64_t> begins(points + 1, 0);
  for (std::size_t edge = 0; edge < strengths.size(); ++edge) {
    ++begins[edge / neighbours + 1];
    ++begins[static_cast<std::size_t>(graph.indices[edge]) + 1];
  }
  for (std::size_t point = 0; point < points; ++point) begins[point + 1] += begins[point];
  std::vector<Edge> edges(strengths.size() * 2);
  std::vector<std::int64_t> next(begins.begin(), begins.end() - 1);
  for (std::size_t edge = 0; edge < strengths.size(); ++edge) {
    const std::size_t from = edge / neighbours, to = static_cast<std::size_t>(graph.indices[edge]);
    edges[static_cast<std::size_t>(next[from]++)] = {static_cast<std::int32_t>(to),
                                                     strengths[edge]};
    edges[static_cast<std::size_t>(next[to]++)] = {static_cast<std::int32_t>(from),
                                                   strengths[edge]};
  }
  WeightedGraph united;
  united.begins.reserve(points + 1);
  for (std::size_t point = 0; point < points; ++point) {
    const auto first = edges.begin() + begins[point], last = edges.begin() + begins[point + 1];
    std::sort(first, last, [](const Edge& a, const Edge& b) {
      return a.to != b.to ? a.to < b.to : a.weight < b.weight;
    });
    for (auto edge = first; edge != last; ++edge) {
      float weight = edge->weight;
      if (edge + 1 != last && (edge + 1)->to == edge->to) {
        ++edge;
        weight = edge->weight + weight * (1 - edge->weight);  // the larger one 1: exactly 1
      }
      if (weight == 0) continue;
      united.neighbours.push_back(edge->to);
      united.weights.push_back(weight);
    }
    united.begins.push_back(static_cast<std::int64_t>(united.weights.size()));
  }
  return united;
}

WeightedGraph without_weak_edges(const WeightedGraph& graph, float least) {
  WeightedGraph strong;
  for (std::int64_t point = 0; point < graph.points(); ++point) {
    for (std::int64_t e = graph.begins[static_cast<std::size_t>(point)];
         e < graph.begins[static_cast<std::size_t>(point) + 1]; ++e) {
      const auto edge = static_cast<std::size_t>(e);
      if (graph.weights[edge] < least) continue;
      strong.neighbours.push_back(graph.neighbours[edge]);
      strong.weights.push_back(graph.weights[edge]);
    }
    strong.begins.push_back(static_cast<std::int64_t>(strong.weights.size()));
  }
  return strong;
}

std::vector<std::int32_t> connected_components(const WeightedGraph& graph) {
  std::vector<std::int32_t> component(static_cast<std::size_t>(graph.points()), -1), open;
  std::int32_t count = 0;
  for (std::size_t start = 0; start < component.size(); ++start) {
    if (component[start] >= 0) continue;
    component[start] = count;
    open.assign(1, static_cast<std::int32_t>(start));
    while (!open.empty()) {
      const auto point = static_cast<std::size_t>(open.back());
      open.pop_back();
      for (std::int64_t e = graph.begins[point]; e < graph.begins[point + 1]; ++e) {
        const std::int32_t other = graph.neighbours[static_cast<std::size_t>(e)];
        std::int32_t& known = component[static_cast<std::size_t>(other)];
        if (known >= 0) continue;
        known = count;
        open.push_back(other);
      }
    }
    ++count;
  }
  return component;
}

WeightedGraph subgraph(const WeightedGraph& graph, std::span<const std::int32_t> members) {
  WeightedGraph part;
  for (const std::int32_t member : members) {
    const auto point = static_cast<std::size_t>(member);
    for (std::int64_t e = graph.begins[point]; e < graph.begins[point + 1]; ++e) {
      const std::int32_t other = graph.neighbours[static_cast<std::size_t>(e)];
      const auto found = std::lower_bound(members.begin(), members.end(), other);
      if (found == members.end() || *found != other) continue;
      part.neighbours.push_back(static_cast<std::int32_t>(found - members.begin()));
      part.weights.push_back(graph.weights[static_cast<std::size_t>(e)]);
    }
    part.begins.push_back(static_cast<std::int64_t>(part.weights.size()));
  }
  return part;
}

}  // namespace barcodemae
