// SPDX-License-Identifier: MIT
#include "analysis/clustering_scores.h"

#include <gtest/gtest.h>

#include "base/threads.h"
#include "clustering_golden.h"

namespace barcodemae {
namespace {

TEST(ClusteringScores, AreThoseOfScikitLearn) {
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    for (const auto& golden : clustering_golden()["scores"]) {
      const ClusteringScores scores =
          score_clustering(golden["labels"].get<Labels>(), golden["clusters"].get<Labels>());
      EXPECT_NEAR(scores.adjusted_mutual_information, golden["ami"].get<double>(), 1e-12);
      EXPECT_NEAR(scores.adjusted_rand_index, golden["ari"].get<double>(), 1e-12);
      EXPECT_NEAR(scores.homogeneity, golden["homogeneity"].get<double>(), 1e-12);
      EXPECT_NEAR(scores.completeness, golden["completeness"].get<double>(), 1e-12);
    }
  }
}

TEST(ClusteringScores, KnowTheExtremes) {
  const ClusteringScores equal = score_clustering(Labels{7, 7, 2, 2, 5}, Labels{0, 0, 1, 1, 2});
  EXPECT_NEAR(equal.adjusted_mutual_information, 1, 1e-12);
  EXPECT_DOUBLE_EQ(equal.adjusted_rand_index, 1);
  EXPECT_EQ(equal.labels, 3);
  const ClusteringScores alone = score_clustering(Labels{0, 1, 2}, Labels{5, 3, 4});
  EXPECT_EQ(alone.adjusted_mutual_information, 1);
  EXPECT_EQ(alone.adjusted_rand_index, 1);
}

}  // namespace
}  // namespace barcodemae
