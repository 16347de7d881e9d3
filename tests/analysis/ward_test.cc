// SPDX-License-Identifier: MIT
#include "analysis/ward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/threads.h"
#include "clustering_golden.h"

namespace barcodemae {
namespace {

using testing::ElementsAre;

/// The same sets, whatever they are called.
bool same_partition(const Labels& a, const Labels& b) {
  if (a.size() != b.size()) return false;
  std::map<std::int32_t, std::int32_t> there, back;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (there.try_emplace(a[i], b[i]).first->second != b[i]) return false;
    if (back.try_emplace(b[i], a[i]).first->second != a[i]) return false;
  }
  return true;
}

TEST(Ward, MakesTheTreeOfScipy) {
  const auto golden = clustering_golden()["ward"];
  const auto heights = golden["heights"].get<std::vector<double>>();
  const auto sizes = golden["sizes"].get<Labels>();
  const Matrix points = clustering_points();
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    const std::vector<Merge> linkage = ward_linkage(RowSource::of(points));
    ASSERT_EQ(linkage.size(), heights.size());
    for (std::size_t row = 0; row < linkage.size(); ++row) {
      EXPECT_NEAR(linkage[row].height, heights[row], 1e-9 * heights[row]) << "row " << row;
      EXPECT_EQ(linkage[row].size, sizes[row]) << "row " << row;
      EXPECT_LT(linkage[row].first, linkage[row].second);
    }
    for (const auto& [clusters, partition] : golden["cut"].items()) {
      EXPECT_TRUE(
          same_partition(cut_linkage(linkage, std::stoi(clusters)), partition.get<Labels>()))
          << clusters << " clusters";
    }
  }
}

TEST(Ward, SettlesTiesByTheLowestPoint) {
  // A row of points at equal distances, two of them twice.
  const Matrix points{7, 1, {0, 1, 2, 3, 4, 2, 4}};
  const std::vector<Merge> linkage = ward_linkage(RowSource::of(points));
  EXPECT_EQ(linkage[0].height, 0);
  EXPECT_EQ(linkage[1].height, 0);
  EXPECT_EQ(linkage[2].height, 1);
  EXPECT_THAT(cut_linkage(linkage, 4), ElementsAre(0, 0, 1, 2, 3, 1, 3));
  EXPECT_THAT(cut_linkage(linkage, 7), ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(cut_linkage(linkage, 1), ElementsAre(0, 0, 0, 0, 0, 0, 0));
}

TEST(Ward, TakesOneAndTwoPoints) {
  const Matrix one{1, 2, {3, 4}}, two{2, 2, {0, 0, 3, 4}};
  EXPECT_TRUE(ward_linkage(RowSource::of(one)).empty());
  EXPECT_THAT(cut_linkage(ward_linkage(RowSource::of(one)), 1), ElementsAre(0));
  const std::vector<Merge> linkage = ward_linkage(RowSource::of(two));
  ASSERT_EQ(linkage.size(), 1u);
  EXPECT_EQ(linkage[0].height, 5);
}

}  // namespace
}  // namespace barcodemae
