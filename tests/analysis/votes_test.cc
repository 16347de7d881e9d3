// SPDX-License-Identifier: MIT
#include "analysis/votes.h"

#include <gtest/gtest.h>

#include <vector>

namespace barcodemae {
namespace {

const std::vector<std::int32_t> kLabels = {7, 3, 3, 5};
const std::vector<Neighbour> kNearest = {{0, 0.90f}, {2, 0.88f}, {1, 0.87f}, {3, 0.80f}};

TEST(Winner, UniformVotesCountHeads) { EXPECT_EQ(winner(kNearest, kLabels, {}), 3); }

TEST(Winner, OfEqualVotesTheNearestKeyWins) {
  EXPECT_EQ(winner(std::vector<Neighbour>{kNearest[0], kNearest[1]}, kLabels, {}), 7);
  EXPECT_EQ(winner(std::vector<Neighbour>{kNearest[3], kNearest[0], kNearest[1]}, kLabels, {}), 5);
}

TEST(Winner, TheTemperatureDecidesHowFarVotesCarry) {
  // One vote of 1 against exp(−0.02 / T) + exp(−0.03 / T): equal at T = 0.0356.
  EXPECT_EQ(winner(kNearest, kLabels, {Votes::kSoftmax, 0.035}), 7);
  EXPECT_EQ(winner(kNearest, kLabels, {Votes::kSoftmax, 0.036}), 3);
  EXPECT_EQ(winner(kNearest, kLabels, {Votes::kSoftmax, 1e-9}), 7) << "no overflow";
}

TEST(Winner, PlacesWithoutAKeyDoNotVote) {
  const std::vector<Neighbour> few = {{3, 0.1f}, {-1, 0}, {-1, 0}};
  EXPECT_EQ(winner(few, kLabels, {}), 5);
  EXPECT_EQ(winner(few, kLabels, {Votes::kSoftmax, 0.02}), 5);
  EXPECT_EQ(winner(std::vector<Neighbour>{{-1, 0}}, kLabels, {}), -1);
}

}  // namespace
}  // namespace barcodemae
