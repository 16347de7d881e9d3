// SPDX-License-Identifier: MIT
#include "analysis/spectral_layout.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/leading_eigenvectors.h"
#include "base/random.h"
#include "base/threads.h"

namespace barcodemae {
namespace {

constexpr std::int64_t kPlacedRows = 256;

template <typename Body>
void for_each_row(std::int64_t rows, const Body& body) {
  parallel_for((rows + kPlacedRows - 1) / kPlacedRows, [&](std::int64_t piece, int) {
    const std::int64_t last = std::min(rows, (piece + 1) * kPlacedRows);
    for (std::int64_t row = piece * kPlacedRows; row < last; ++row) body(row);
  });
}

/// D^−½ W D^−½; the largest eigenvalues are the smallest of the normalised Laplacian.
SymmetricOperator normalised_adjacency(const WeightedGraph& graph) {
  std::vector<float> scale;
  scale.reserve(static_cast<std::size_t>(graph.points()));
  for (std::size_t point = 0; point + 1 < graph.begins.size(); ++point) {
    double degree = 0;
    for (std::int64_t e = graph.begins[point]; e < graph.begins[point + 1]; ++e) {
      degree += graph.weights[static_cast<std::size_t>(e)];
    }
    scale.push_back(static_cast<float>(degree > 0 ? 1 / std::sqrt(degree) : 0));
  }
  return {graph.points(), [&graph, scale = std::move(scale)](
                              std::span<const float> x, std::span<float> y, std::int64_t columns) {
            for_each_row(graph.points(), [&](std::int64_t row) {
              const auto point = static_cast<std::size_t>(row);
              float* out = y.data() + row * columns;
              std::fill_n(out, columns, 0.0f);
              for (std::int64_t e = graph.begins[point]; e < graph.begins[point + 1]; ++e) {
                const auto edge = static_cast<std::size_t>(e);
                const auto other = static_cast<std::size_t>(graph.neighbours[edge]);
                const float weight = scale[point] * graph.weights[edge] * scale[other];
                const float* in = x.data() + static_cast<std::int64_t>(other) * columns;
                for (std::int64_t c = 0; c < columns; ++c) out[c] += weight * in[c];
              }
            });
          }};
}

/// Without the first eigenvector, which says the degree only.
Matrix without_first(const Matrix& vectors) {
  Matrix rest{vectors.rows, vectors.cols - 1, {}};
  rest.values.reserve(static_cast<std::size_t>(rest.rows * rest.cols));
  for (std::int64_t row = 0; row < vectors.rows; ++row) {
    const auto values = vectors.row(row);
    rest.values.insert(rest.values.end(), values.begin() + 1, values.end());
  }
  return rest;
}

float largest_magnitude(const Matrix& matrix) {
  float largest = 0;
  for (const float value : matrix.values) largest = std::max(largest, std::abs(value));
  return largest;
}

/// Mean vectors of the parts, of length 1 (or 0).
Matrix part_means(const RowSource& points, const std::vector<std::int32_t>& part,
                  std::int64_t parts) {
  std::vector<double> sums(static_cast<std::size_t>(parts * points.cols), 0.0);
  std::vector<float> row(static_cast<std::size_t>(points.cols));
  for (std::int64_t point = 0; point < points.rows; ++point) {
    points.fill(point, row);
    double* sum = sums.data() + part[static_cast<std::size_t>(point)] * points.cols;
    for (std::size_t c = 0; c < row.size(); ++c) sum[c] += row[c];
  }
  Matrix means{parts, points.cols, std::vector<float>(sums.size())};
  for (std::int64_t p = 0; p < parts; ++p) {
    const double* sum = sums.data() + p * points.cols;
    double square = 0;
    for (std::int64_t c = 0; c < points.cols; ++c) square += sum[c] * sum[c];
    const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
    auto mean = means.row(p);
    for (std::size_t c = 0; c < mean.size(); ++c) mean[c] = static_cast<float>(sum[c] * scale);
  }
  return means;
}

/// A spectral layout of the parts' means, connected by exp(−d²) of their cosine distances d.
Matrix layout_of_means(const Matrix& means, int components, std::uint64_t seed) {
  const std::int64_t parts = means.rows;
  Matrix affinity{parts, parts, std::vector<float>(static_cast<std::size_t>(parts * parts), 0.0f)};
  std::vector<double> degree(static_cast<std::size_t>(parts), 0.0);
  for_each_row(parts, [&](std::int64_t p) {
    auto row = affinity.row(p);
    for (std::int64_t q = 0; q < parts; ++q) {
      if (q == p) continue;
      double dot = 0;
      for (std::int64_t c = 0; c < means.cols; ++c) {
        dot += double{means.row(p)[static_cast<std::size_t>(c)]} *
               means.row(q)[static_cast<std::size_t>(c)];
      }
      const double distance = 1 - dot;
      const double value = std::exp(-distance * distance);
      row[static_cast<std::size_t>(q)] = static_cast<float>(value);
      degree[static_cast<std::size_t>(p)] += value;
    }
  });
  for_each_row(parts, [&](std::int64_t p) {
    auto row = affinity.row(p);
    for (std::size_t q = 0; q < row.size(); ++q) {
      row[q] =
          static_cast<float>(row[q] / std::sqrt(degree[static_cast<std::size_t>(p)] * degree[q]));
    }
  });
  const SymmetricOperator operation{
      parts, [&](std::span<const float> x, std::span<float> y, std::int64_t columns) {
        for_each_row(parts, [&](std::int64_t p) {
          float* out = y.data() + p * columns;
          std::fill_n(out, columns, 0.0f);
          const auto row = affinity.row(p);
          for (std::int64_t q = 0; q < parts; ++q) {
            const float weight = row[static_cast<std::size_t>(q)];
            const float* in = x.data() + q * columns;
            for (std::int64_t c = 0; c < columns; ++c) out[c] += weight * in[c];
          }
        });
      }};
  Matrix layout = without_first(leading_eigenvectors(operation, components + 1, seed));
  for (std::int64_t p = 0; p < parts; ++p) {
    for (float& value : layout.row(p)) {
      value = static_cast<float>(value / std::sqrt(degree[static_cast<std::size_t>(p)]));
    }
  }
  const float largest = *std::max_element(layout.values.begin(), layout.values.end());
  if (largest > 0) {
    for (float& value : layout.values) value /= largest;
  }
  return layout;
}

/// Where the parts go: [parts × components].
Matrix places_of_parts(const RowSource& points, const std::vector<std::int32_t>& part,
                       std::int64_t parts, int components, std::uint64_t seed) {
  if (parts > 2 * components) {
    return layout_of_means(part_means(points, part, parts), components, seed);
  }
  // Both ends of as many axes as are needed.
  Matrix places{parts, components,
                std::vector<float>(static_cast<std::size_t>(parts * components), 0.0f)};
  const std::int64_t half = (parts + 1) / 2;
  for (std::int64_t p = 0; p < parts; ++p) {
    places.row(p)[static_cast<std::size_t>(p % half)] = p < half ? 1.0f : -1.0f;
  }
  return places;
}

/// Half the distance to the nearest other place.
float room_around(const Matrix& places, std::int64_t place) {
  double nearest = std::numeric_limits<double>::infinity();
  for (std::int64_t other = 0; other < places.rows; ++other) {
    double square = 0;
    for (std::int64_t c = 0; c < places.cols; ++c) {
      const auto column = static_cast<std::size_t>(c);
      const double difference = double{places.row(place)[column]} - places.row(other)[column];
      square += difference * difference;
    }
    if (square > 0) nearest = std::min(nearest, square);
  }
  return std::isinf(nearest) ? 1 : static_cast<float>(std::sqrt(nearest) / 2);
}

bool can_be_laid_out(const WeightedGraph& graph, int components) {
  return graph.points() >= 2 * components && graph.points() > components + 1;
}

Matrix layout_of_part(const WeightedGraph& graph, int components, std::uint64_t seed) {
  return without_first(leading_eigenvectors(normalised_adjacency(graph), components + 1, seed));
}

}  // namespace

Matrix spectral_layout(const WeightedGraph& graph, const RowSource& points, int components,
                       std::uint64_t seed) {
  const std::vector<std::int32_t> part = connected_components(graph);
  const std::int64_t parts = *std::max_element(part.begin(), part.end()) + 1;
  if (parts == 1 && can_be_laid_out(graph, components)) {
    return layout_of_part(graph, components, seed);
  }
  const Matrix places = places_of_parts(points, part, parts, components, seed);
  std::vector<std::vector<std::int32_t>> members(static_cast<std::size_t>(parts));
  for (std::size_t point = 0; point < part.size(); ++point) {
    members[static_cast<std::size_t>(part[point])].push_back(static_cast<std::int32_t>(point));
  }
  Matrix layout{graph.points(), components,
                std::vector<float>(static_cast<std::size_t>(graph.points() * components))};
  for (std::int64_t p = 0; p < parts; ++p) {
    const auto& own = members[static_cast<std::size_t>(p)];
    const WeightedGraph edges = subgraph(graph, own);
    const float room = room_around(places, p);
    Matrix local;
    if (can_be_laid_out(edges, components)) {
      local = layout_of_part(edges, components, seed);
      const float largest = largest_magnitude(local);
      for (float& value : local.values) value *= largest > 0 ? room / largest : 0;
    } else {
      local = {edges.points(), components, {}};
      RandomSequence random(seed, Stream::kInitialisation, 1, static_cast<std::uint32_t>(p));
      for (std::int64_t i = 0; i < local.rows * local.cols; ++i) {
        local.values.push_back(static_cast<float>((2 * random.uniform() - 1) * room));
      }
    }
    for (std::size_t m = 0; m < own.size(); ++m) {
      const auto from = local.row(static_cast<std::int64_t>(m));
      auto to = layout.row(own[m]);
      for (std::size_t c = 0; c < to.size(); ++c) to[c] = from[c] + places.row(p)[c];
    }
  }
  return layout;
}

}  // namespace barcodemae
