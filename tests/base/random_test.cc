// SPDX-License-Identifier: MIT
#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace barcodemae {
namespace {

using Block = std::array<std::uint32_t, 4>;

TEST(Philox, MatchesTheKnownAnswersOfItsAuthors) {
  // Random123's kat_vectors for philox4x32-10.
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, ~std::uint64_t{0}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomSequence, DependsOnWhatItIsFor) {
  RandomSequence one(7, Stream::kMask, 3, 4), same(7, Stream::kMask, 3, 4);
  RandomSequence other_stream(7, Stream::kShuffle, 3, 4), other_seed(8, Stream::kMask, 3, 4);
  const std::uint32_t first = one();
  EXPECT_EQ(first, same());
  EXPECT_NE(first, other_stream());
  EXPECT_NE(first, other_seed());
}

TEST(RandomSequence, HasTheMomentsOfItsDistributions) {
  RandomSequence random(1, Stream::kInitialisation);
  constexpr int kDraws = 200'000;
  double uniform = 0, normal = 0, square = 0;
  int buckets[6] = {};
  for (int draw = 0; draw < kDraws; ++draw) {
    uniform += random.uniform();
    const double z = random.normal();
    normal += z;
    square += z * z;
    ++buckets[random.below(6)];
  }
  // Five standard errors each.
  EXPECT_NEAR(uniform / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(normal / kDraws, 0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(square / kDraws, 1, 5 * std::sqrt(2.0 / kDraws));
  for (const int count : buckets) EXPECT_NEAR(count, kDraws / 6.0, 5 * std::sqrt(kDraws / 6.0));
}

}  // namespace
}  // namespace barcodemae
