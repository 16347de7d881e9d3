// SPDX-License-Identifier: MIT
#include "data/splits.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace barcodemae {
namespace {

using testing::ElementsAre;

TEST(ParseSplits, TakesEitherSeparator) {
  EXPECT_THAT(parse_splits("train", "--keys"), ElementsAre("train"));
  EXPECT_THAT(parse_splits("train+test,validation", "--keys"), ElementsAre("train", "test", "val"));
}

TEST(ParseSplits, RefusesEmptyAndRepeatedNames) {
  for (const char* text : {"", "pretrain,,train", "train+train", "train+"}) {
    EXPECT_THROW(parse_splits(text, "--splits"), UserError) << text;
  }
}

}  // namespace
}  // namespace barcodemae
