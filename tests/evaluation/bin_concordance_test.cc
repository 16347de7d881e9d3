// SPDX-License-Identifier: MIT
#include "evaluation/bin_concordance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace barcodemae {
namespace {

using enum BinConcordance;
using testing::Each;
using testing::ElementsAre;

TEST(BinConcordanceOfQueries, SaysWhoseKeysLieInTheirBin) {
  // BIN 0: label 5, twice. BIN 1: labels 5 and 6. BIN 2: a key without a label. No BIN: label 7.
  const LabelsAndBins keys{{5, 5, 6, 5, -1, 7}, {0, 0, 1, 1, 2, -1}};
  const LabelsAndBins queries{{5, 6, 6, 5, 5, 9, 7}, {0, 0, 1, 1, 2, 3, -1}};
  EXPECT_THAT(bin_concordance(keys, queries),
              ElementsAre(kOwn, kOthers, kShared, kShared, kNew, kNew, kNone));
}

TEST(BinConcordanceOfQueries, IsNewToAnEmptyLibrary) {
  EXPECT_THAT(bin_concordance({}, {{0, 1}, {0, 1}}), Each(kNew));
}

}  // namespace
}  // namespace barcodemae
