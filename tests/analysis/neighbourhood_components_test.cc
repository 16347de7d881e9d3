// SPDX-License-Identifier: MIT
#include "analysis/neighbourhood_components.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "base/random.h"
#include "base/threads.h"
#include "random_vectors.h"
#include "readouts.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

/// By its definition, in double precision.
double loss_of(const Matrix& vectors, const std::vector<std::int32_t>& groups, double temperature) {
  double total = 0;
  for (std::int64_t i = 0; i < vectors.rows; ++i) {
    double all = 0, same = 0;
    for (std::int64_t j = 0; j < vectors.rows; ++j) {
      if (j == i) continue;
      const double weight = std::exp(cosine(vectors.row(i), vectors.row(j)) / temperature);
      all += weight;
      if (groups[static_cast<std::size_t>(i)] == groups[static_cast<std::size_t>(j)]) {
        same += weight;
      }
    }
    total -= std::log(same / all);
  }
  return total / static_cast<double>(vectors.rows);
}

TEST(NeighbourhoodLoss, IsItsDefinitionAndItsGradientThatOfDifferences) {
  // More rows than one block of them has.
  Matrix vectors = random_matrix(70, 5, 1);
  std::vector<std::int32_t> groups;
  groups.reserve(70);
  for (int i = 0; i < 70; ++i) groups.push_back(i % 9);
  const NeighbourhoodLoss result = neighbourhood_loss(vectors, groups, 0.2);
  EXPECT_NEAR(result.loss, loss_of(vectors, groups, 0.2), 1e-5);
  constexpr float kStep = 1e-3f;
  for (const std::size_t i : {0u, 13u, 333u, 349u}) {
    Matrix up = vectors, down = vectors;
    up.values[i] += kStep;
    down.values[i] -= kStep;
    const double slope = (loss_of(up, groups, 0.2) - loss_of(down, groups, 0.2)) /
                         (double{up.values[i]} - double{down.values[i]});
    EXPECT_NEAR(result.gradient.values[i], slope, 2e-5) << i;
  }
}

TEST(NeighbourhoodLoss, StaysFiniteWhereTheGroupIsFarAway) {
  Matrix vectors{4, 2, {1, 0, 1, 0, -1, 0, -1, 1e-4f}};
  const NeighbourhoodLoss result =
      neighbourhood_loss(vectors, std::vector<std::int32_t>{0, 1, 0, 1}, 0.01);
  EXPECT_GT(result.loss, 50);
  EXPECT_TRUE(std::isfinite(result.loss));
  for (const float value : result.gradient.values) EXPECT_TRUE(std::isfinite(value));
}

/// 30 groups of four classes of two rows in 8 numbers. Groups differ in the first two; classes, ten
/// times as much, in the others.
struct ClassedVectors {
  Matrix matrix{0, 8, {}};
  std::vector<std::int32_t> classes, groups;

  ClassedVectors() {
    RandomSequence random(7, Stream::kSimulate);
    for (int group = 0; group < 30; ++group) {
      const double angle = 0.2094 * group;
      for (int one = 0; one < 4; ++one) {
        std::vector<double> centre(8);
        for (std::size_t i = 2; i < 8; ++i) centre[i] = 3 * random.normal();
        centre[0] = std::cos(angle);
        centre[1] = std::sin(angle);
        for (int row = 0; row < 2; ++row) {
          for (const double value : centre) {
            matrix.values.push_back(static_cast<float>(value + 0.01 * random.normal()));
          }
          ++matrix.rows;
          classes.push_back(group * 4 + one);
          groups.push_back(group);
        }
      }
    }
  }

  /// Share of rows whose nearest row of another class is of their group.
  double accuracy(const Readout& readout) const {
    std::vector<std::vector<float>> mapped;
    for (std::int64_t r = 0; r < matrix.rows; ++r) {
      mapped.push_back(read_out(readout, matrix.row(r)));
    }
    int right = 0;
    for (std::int64_t i = 0; i < matrix.rows; ++i) {
      double nearest = -2;
      std::int64_t found = 0;
      for (std::int64_t j = 0; j < matrix.rows; ++j) {
        const double similarity =
            cosine(mapped[static_cast<std::size_t>(i)], mapped[static_cast<std::size_t>(j)]);
        if (classes[static_cast<std::size_t>(j)] == classes[static_cast<std::size_t>(i)] ||
            similarity <= nearest) {
          continue;
        }
        nearest = similarity;
        found = j;
      }
      if (groups[static_cast<std::size_t>(found)] == groups[static_cast<std::size_t>(i)]) ++right;
    }
    return right / static_cast<double>(matrix.rows);
  }
};

Readout identity(int width) {
  Matrix matrix{width, width, std::vector<float>(static_cast<std::size_t>(width * width))};
  for (int i = 0; i < width; ++i) matrix.row(i)[static_cast<std::size_t>(i)] = 1;
  return {std::vector<float>(static_cast<std::size_t>(width), 0.0f), std::move(matrix)};
}

TEST(RefineByNeighbours, FindsWhatTellsGroupsApart) {
  const ClassedVectors vectors;
  const Readout start = identity(8);
  const Readout refined =
      refine_by_neighbours(start, vectors.matrix, vectors.classes, vectors.groups,
                           {.steps = 150, .learning_rate = 0.03});
  EXPECT_LT(vectors.accuracy(start), 0.3);
  EXPECT_GT(vectors.accuracy(refined), 0.9);
}

TEST(RefineByNeighbours, LearnsWithAHiddenLayerWhatNoMatrixCan) {
  // The two classes of a group are opposite to each other, and so are their images by any matrix.
  ClassedVectors vectors;
  vectors.matrix = {0, 4, {}};
  vectors.classes.clear();
  vectors.groups.clear();
  RandomSequence random(3, Stream::kSimulate);
  for (int group = 0; group < 8; ++group) {
    std::vector<double> direction(4);
    for (double& value : direction) value = random.normal();
    for (const double sign : {1.0, -1.0}) {
      for (const double value : direction) {
        vectors.matrix.values.push_back(static_cast<float>(sign * value + 0.01 * random.normal()));
      }
      vectors.classes.push_back(static_cast<std::int32_t>(vectors.matrix.rows++));
      vectors.groups.push_back(group);
    }
  }
  NeighbourhoodOptions options{.steps = 600, .learning_rate = 0.03};
  const auto accuracy = [&] {
    return vectors.accuracy(refine_by_neighbours(identity(4), vectors.matrix, vectors.classes,
                                                 vectors.groups, options));
  };
  EXPECT_LT(accuracy(), 0.2);
  options.hidden_units = 64;
  EXPECT_GT(accuracy(), 0.9);
}

TEST(RefineByNeighbours, GivesTheSameBitsForAnyNumberOfThreads) {
  // More than one block of rows, of inputs, of directions and of hidden units.
  const Matrix vectors = random_matrix(400, 90, 5);
  std::vector<std::int32_t> classes(400), groups(400);
  for (std::int32_t r = 0; r < 400; ++r) {
    classes[static_cast<std::size_t>(r)] = r / 2;
    groups[static_cast<std::size_t>(r)] = r / 8;
  }
  const int before = thread_count();
  std::vector<float> first;
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    const Readout refined =
        refine_by_neighbours(identity(90), vectors, classes, groups,
                             {.steps = 5, .groups = 50, .members = 3, .hidden_units = 70});
    std::vector<float> all = refined.matrix.values;
    for (const Matrix* matrix : {&refined.hidden.in, &refined.hidden.out}) {
      all.insert(all.end(), matrix->values.begin(), matrix->values.end());
    }
    if (first.empty()) first = all;
    EXPECT_EQ(all, first);
  }
  set_thread_count(before);
}

TEST(RefineByNeighbours, HidesSitesAlone) {
  // Only the last four numbers differ between rows of a batch: once they are hidden, nothing does.
  ClassedVectors vectors;
  for (std::int64_t r = 0; r < vectors.matrix.rows; ++r) {
    for (std::size_t c = 0; c < 4; ++c) vectors.matrix.row(r)[c] = 1;
  }
  const auto refined = [&](std::int64_t first_site, double hidden) {
    return refine_by_neighbours(identity(8), vectors.matrix, vectors.classes, vectors.groups,
                                {.steps = 3, .first_site = first_site, .hidden_sites = hidden})
        .matrix.values;
  };
  EXPECT_EQ(refined(4, 0), refined(-1, 0.05));
  EXPECT_NE(refined(4, 0.5), refined(-1, 0.05));
  // Twice the share is at least 1 for all rows: the weights of hidden numbers never learn.
  const std::vector<float> blind = refined(4, 1e9);
  for (std::size_t i = 0; i < 64; ++i) {
    if (i % 8 < 4) continue;
    EXPECT_NEAR(blind[i], i / 8 == i % 8 ? blind[9 * 7] : 0, 1e-6f) << i;
  }
}

TEST(RefineByNeighbours, NeedsTwoGroupsOfSeveralClasses) {
  ClassedVectors vectors;
  for (std::size_t r = 0; r < vectors.classes.size(); ++r) {
    if (vectors.groups[r] > 0) vectors.classes[r] = 1000 + vectors.groups[r];
  }
  const auto refine = [&] {
    refine_by_neighbours(identity(8), vectors.matrix, vectors.classes, vectors.groups, {});
  };
  EXPECT_THAT(user_error(refine), HasSubstr("1 of the groups"));
}

TEST(RefineByNeighbours, DoesNotDependOnTheScaleOfAKind) {
  ClassedVectors vectors;
  const NeighbourhoodOptions options{.steps = 20, .kinds = {4, 4}};
  const Readout plain =
      refine_by_neighbours(identity(8), vectors.matrix, vectors.classes, vectors.groups, options);
  for (std::int64_t r = 0; r < vectors.matrix.rows; ++r) {
    for (std::size_t c = 4; c < 8; ++c) vectors.matrix.row(r)[c] *= 64;
  }
  Matrix start = identity(8).matrix;
  for (std::int64_t d = 4; d < 8; ++d) start.row(d)[static_cast<std::size_t>(d)] /= 64;
  const Readout scaled = refine_by_neighbours(Readout{std::vector<float>(8), start}, vectors.matrix,
                                              vectors.classes, vectors.groups, options);
  for (std::int64_t d = 0; d < 8; ++d) {
    for (std::size_t c = 0; c < 8; ++c) {
      EXPECT_NEAR(scaled.matrix.row(d)[c] * (c < 4 ? 1 : 64), plain.matrix.row(d)[c], 1e-4f);
    }
  }
}

}  // namespace
}  // namespace barcodemae
