// SPDX-License-Identifier: MIT
#include "analysis/umap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "analysis/clustering_scores.h"
#include "analysis/fuzzy_graph.h"
#include "analysis/leading_eigenvectors.h"
#include "analysis/ward.h"
#include "base/random.h"
#include "base/threads.h"
#include "clustering_golden.h"

namespace barcodemae {
namespace {

/// Groups far apart, so that the graph of neighbours falls into as many parts.
Matrix separate_groups(std::int64_t groups, std::int64_t members, std::int64_t dimensions) {
  Matrix points{groups * members, dimensions, {}};
  RandomSequence random(9, Stream::kInitialisation);
  std::vector<double> centre(static_cast<std::size_t>(dimensions));
  for (std::int64_t point = 0; point < points.rows; ++point) {
    if (point % members == 0) {
      for (double& value : centre) value = random.normal();
    }
    for (const double value : centre) {
      points.values.push_back(static_cast<float>(value + 0.05 * random.normal()));
    }
  }
  return points;
}

double ami_of(const Matrix& points, const UmapOptions& options, const Labels& labels,
              std::int64_t clusters) {
  const Matrix layout = umap(RowSource::of(points), options);
  return score_clustering(labels, cut_linkage(ward_linkage(RowSource::of(layout)), clusters))
      .adjusted_mutual_information;
}

TEST(Umap, FitsTheCurveOfUmapLearn) {
  for (const auto& golden : clustering_golden()["curves"]) {
    const UmapCurve curve =
        fit_umap_curve(golden["min_dist"].get<double>(), golden["spread"].get<double>());
    EXPECT_NEAR(curve.a, golden["a"].get<double>(), 1e-5);
    EXPECT_NEAR(curve.b, golden["b"].get<double>(), 1e-5);
  }
}

TEST(SlowUmap, IsWorthWhatUmapLearnIsWorth) {
  const auto golden = clustering_golden();
  const Matrix points = clustering_points();
  for (const auto& [name, theirs] : golden["umap"].items()) {
    const auto clusters = theirs["clusters"].get<std::int64_t>();
    const Labels labels =
        (name == "rare" ? golden["ward"]["cut"]["200"] : golden["points"]["labels"]).get<Labels>();
    double expected = 0, found = 0;
    const auto ami = theirs["ami"].get<std::vector<double>>();
    for (std::size_t seed = 0; seed < ami.size(); ++seed) {
      expected += ami[seed] / static_cast<double>(ami.size());
      UmapOptions options;
      options.components = theirs["components"].get<int>();
      options.seed = seed;
      found += ami_of(points, options, labels, clusters) / static_cast<double>(ami.size());
    }
    EXPECT_NEAR(found, expected, 0.01) << name;
  }
}

TEST(Umap, GivesTheSameBitsForAnyNumberOfThreads) {
  const Matrix points = clustering_points();
  UmapOptions options;
  options.epochs = 20;
  options.components = 10;
  set_thread_count(1);
  const Matrix alone = umap(RowSource::of(points), options);
  set_thread_count(3);
  EXPECT_EQ(umap(RowSource::of(points), options).values, alone.values);
  options.seed = 2;
  EXPECT_NE(umap(RowSource::of(points), options).values, alone.values);
}

TEST(Umap, LaysOutAGraphInParts) {
  UmapOptions options;
  options.components = 2;
  options.epochs = 100;
  for (const std::int64_t groups : {3, 9}) {  // on the axes; by their means
    const Matrix points = separate_groups(groups, 24, 16);
    Labels labels;
    for (std::int64_t point = 0; point < points.rows; ++point) {
      labels.push_back(static_cast<std::int32_t>(point / 24));
    }
    EXPECT_NEAR(ami_of(points, options, labels, groups), 1, 1e-12) << groups << " groups";
  }
}

TEST(Umap, TakesFewAndEqualPoints) {
  for (const std::int64_t rows : {2, 5, 40}) {
    Matrix points{rows, 3, {}};
    for (std::int64_t i = 0; i < rows * 3; ++i) points.values.push_back(i % 3 == 0 ? 1.0f : 2.0f);
    const Matrix layout = umap(RowSource::of(points), {});
    ASSERT_EQ(layout.rows, rows);
    ASSERT_EQ(layout.cols, 50);
    for (const float value : layout.values) ASSERT_TRUE(std::isfinite(value));
  }
}

TEST(FuzzyGraph, IsSymmetricWithSureNearestNeighbours) {
  const Matrix points = clustering_points();
  const WeightedGraph graph = fuzzy_graph(cosine_neighbour_graph(RowSource::of(points), 14));
  const auto weight = [&](std::int64_t from, std::int32_t to) -> float {
    for (std::int64_t e = graph.begins[static_cast<std::size_t>(from)];
         e < graph.begins[static_cast<std::size_t>(from) + 1]; ++e) {
      if (graph.neighbours[static_cast<std::size_t>(e)] == to) {
        return graph.weights[static_cast<std::size_t>(e)];
      }
    }
    return 0;
  };
  ASSERT_EQ(graph.points(), points.rows);
  for (std::int64_t point = 0; point < graph.points(); ++point) {
    float heaviest = 0;
    for (std::int64_t e = graph.begins[static_cast<std::size_t>(point)];
         e < graph.begins[static_cast<std::size_t>(point) + 1]; ++e) {
      const std::int32_t other = graph.neighbours[static_cast<std::size_t>(e)];
      const float own = graph.weights[static_cast<std::size_t>(e)];
      EXPECT_NE(other, point);
      EXPECT_EQ(own, weight(other, static_cast<std::int32_t>(point)));
      heaviest = std::max(heaviest, own);
    }
    EXPECT_EQ(heaviest, 1);
  }
}

TEST(LeadingEigenvectors, AreThoseOfACycle) {
  // Of a ring of n points, half a neighbour to either side: cos(2 π j / n), twice each but the
  // first.
  constexpr std::int64_t kSize = 200;
  const SymmetricOperator ring{
      kSize, [](std::span<const float> x, std::span<float> y, std::int64_t columns) {
        for (std::int64_t row = 0; row < kSize; ++row) {
          const std::int64_t before = (row + kSize - 1) % kSize, after = (row + 1) % kSize;
          for (std::int64_t c = 0; c < columns; ++c) {
            const auto at = [&](std::int64_t r) {
              return static_cast<std::size_t>(r * columns + c);
            };
            y[at(row)] = (x[at(before)] + x[at(after)]) / 2;
          }
        }
      }};
  const Matrix vectors = leading_eigenvectors(ring, 5, 1);
  for (std::size_t c = 0; c < 5; ++c) {
    const double value = std::cos(2 * M_PI * static_cast<double>((c + 1) / 2) / kSize);
    double residual = 0, length = 0;
    for (std::int64_t row = 0; row < kSize; ++row) {
      const double own = vectors.row(row)[c];
      const double image =
          (double{vectors.row((row + kSize - 1) % kSize)[c]} + vectors.row((row + 1) % kSize)[c]) /
          2;
      residual += (image - value * own) * (image - value * own);
      length += own * own;
    }
    EXPECT_NEAR(length, 1, 1e-4);
    EXPECT_LT(std::sqrt(residual), 1e-3) << "eigenvector " << c;
  }
}

}  // namespace
}  // namespace barcodemae
