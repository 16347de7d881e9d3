// SPDX-License-Identifier: MIT
#include "analysis/group_readout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "base/threads.h"
#include "random_vectors.h"
#include "readouts.h"
#include "user_error.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;

/// 40 groups of three classes of two records, in 12 numbers: groups differ in the first three,
/// their classes, four times as much, in the next three, records a little in all.
struct Vectors {
  Matrix matrix{0, 12, {}};
  std::vector<std::int32_t> classes, groups;

  Vectors() {
    RandomSequence random(4, Stream::kSimulate);
    for (int group = 0; group < 40; ++group) {
      std::vector<double> centre(12, 1.0);
      for (std::size_t i = 0; i < 3; ++i) centre[i] += random.normal();
      for (int one = 0; one < 3; ++one) {
        std::vector<double> of_class = centre;
        for (std::size_t i = 3; i < 6; ++i) of_class[i] += 4 * random.normal();
        for (int record = 0; record < 2; ++record) {
          for (const double value : of_class) {
            matrix.values.push_back(static_cast<float>(value + 0.1 * random.normal()));
          }
          ++matrix.rows;
          classes.push_back(100 + group * 3 + one);
          groups.push_back(group);
        }
      }
    }
  }
};

Eigen::MatrixXd class_means_mapped(const Readout& map, const Vectors& vectors) {
  Eigen::MatrixXd means(vectors.matrix.rows / 2, map.dimensions());
  for (std::int64_t i = 0; i < means.rows(); ++i) {
    const auto one = read_out(map, vectors.matrix.row(2 * i));
    const auto two = read_out(map, vectors.matrix.row(2 * i + 1));
    for (std::size_t c = 0; c < one.size(); ++c) {
      means(i, static_cast<Eigen::Index>(c)) = (one[c] + two[c]) / 2;
    }
  }
  return means;
}

TEST(GroupReadout, MakesTheCovarianceWithinGroupsTheIdentity) {
  const Vectors vectors;
  const GroupReadout fitted =
      fit_group_readout(vectors.matrix, vectors.classes, vectors.groups, {.shrinkage = 0});
  EXPECT_EQ(fitted.classes, 120);
  EXPECT_EQ(fitted.groups, 40);
  ASSERT_EQ(fitted.map.dimensions(), 12);
  Eigen::MatrixXd means = class_means_mapped(fitted.map, vectors);
  // T is diagonal, its entries are the ratios, largest first.
  EXPECT_NEAR(means.colwise().mean().cwiseAbs().maxCoeff(), 0, 1e-4);
  const Eigen::MatrixXd total = means.transpose() * means / 119;
  for (Eigen::Index i = 0; i < 12; ++i) {
    const double ratio = fitted.ratios[static_cast<std::size_t>(i)];
    EXPECT_NEAR(total(i, i), ratio, 1e-4 * ratio);
    if (i > 0) {
      EXPECT_LE(ratio, fitted.ratios[static_cast<std::size_t>(i - 1)]);
    }
    for (Eigen::Index j = 0; j < i; ++j) EXPECT_NEAR(total(i, j), 0, 1e-4 * fitted.ratios[0]);
  }
  // S is the identity.
  for (Eigen::Index group = 0; group < 40; ++group) {
    auto rows = means.middleRows(3 * group, 3);
    rows.rowwise() -= rows.colwise().mean().eval();
  }
  const Eigen::MatrixXd within = means.transpose() * means / 119;
  EXPECT_NEAR((within - Eigen::MatrixXd::Identity(12, 12)).cwiseAbs().maxCoeff(), 0, 1e-3);
}

TEST(GroupReadout, KeepsWhatTellsGroupsApart) {
  const Vectors vectors;
  const GroupReadout fitted = fit_group_readout(vectors.matrix, vectors.classes, vectors.groups,
                                                {.components = 3, .shrinkage = 0.01});
  for (std::int64_t i = 0; i < 3; ++i) {
    double groups = 0, classes = 0;
    for (std::size_t c = 0; c < 12; ++c) {
      const double weight = fitted.map.matrix.row(i)[c];
      (c < 3 ? groups : classes) += weight * weight;
    }
    EXPECT_GT(groups, 20 * classes) << "direction " << i;
  }
}

TEST(GroupReadout, KindsOfNumbersMayHaveAnyScale) {
  const Vectors vectors;
  const GroupReadoutOptions options{.components = 5, .kinds = {6, 6}};
  const GroupReadout plain =
      fit_group_readout(vectors.matrix, vectors.classes, vectors.groups, options);
  Vectors scaled;
  for (std::int64_t r = 0; r < scaled.matrix.rows; ++r) {
    for (std::size_t c = 6; c < 12; ++c) scaled.matrix.row(r)[c] *= 1024;
  }
  const GroupReadout same =
      fit_group_readout(scaled.matrix, scaled.classes, scaled.groups, options);
  for (std::int64_t r = 0; r < scaled.matrix.rows; r += 17) {
    const auto one = read_out(plain.map, vectors.matrix.row(r));
    const auto two = read_out(same.map, scaled.matrix.row(r));
    for (std::size_t c = 0; c < 5; ++c) EXPECT_NEAR(std::abs(one[c]), std::abs(two[c]), 1e-3);
  }
}

TEST(GroupReadout, HasTheSameBitsForAnyNumberOfThreads) {
  // More than one tile of the covariance.
  const Matrix vectors = random_matrix(300, 140, 8);
  std::vector<std::int32_t> classes(300), groups(300);
  for (std::int32_t r = 0; r < 300; ++r) {
    classes[static_cast<std::size_t>(r)] = r / 2;
    groups[static_cast<std::size_t>(r)] = r / 6;
  }
  const auto fitted = [&](int threads) {
    set_thread_count(threads);
    return fit_group_readout(vectors, classes, groups, {}).map.matrix.values;
  };
  const int threads = thread_count();
  const std::vector<float> one = fitted(1), three = fitted(3);
  set_thread_count(threads);
  EXPECT_EQ(one, three);
}

TEST(GroupReadout, RefusesWhatSaysNothing) {
  Vectors vectors;
  const auto refusal = [&](const GroupReadoutOptions& options) {
    return user_error(
        [&] { fit_group_readout(vectors.matrix, vectors.classes, vectors.groups, options); });
  };
  EXPECT_THAT(refusal({.components = 13}), HasSubstr("--components 13"));
  vectors.groups = vectors.classes;  // a class a group
  EXPECT_THAT(refusal({}), HasSubstr("no group has two classes"));
}

}  // namespace
}  // namespace barcodemae
