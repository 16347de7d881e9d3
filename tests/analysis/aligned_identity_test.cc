// SPDX-License-Identifier: MIT
#include "analysis/aligned_identity.h"

#include <gtest/gtest.h>

#include <numeric>

#include "analysis/identity_kernel.h"
#include "base/random.h"

namespace barcodemae {
namespace {

TEST(IdentityKernel, CountsAgreeWithASiteBySiteCount) {
  constexpr std::int64_t kWords = 11;
  RandomSequence random(1, Stream::kInitialisation);
  std::vector<std::uint64_t> query(kWords * 3), keys(kWords * 3 * kIdentityLanes), full(kWords);
  for (auto* planes : {&query, &keys, &full}) {
    for (auto& word : *planes) word = std::uint64_t{random()} << 32 | random();
  }
  std::uint64_t shared[kIdentityLanes], different[kIdentityLanes], overlap[kIdentityLanes];
  compare_group(query.data(), keys.data(), full.data(), kWords, shared, different, overlap);
  for (std::int64_t lane = 0; lane < kIdentityLanes; ++lane) {
    std::uint64_t s = 0, d = 0, o = 0;
    for (std::int64_t site = 0; site < kWords * 64; ++site) {
      const auto bit = [&](const std::vector<std::uint64_t>& planes, std::int64_t word) {
        return planes[static_cast<std::size_t>(word)] >> site % 64 & 1;
      };
      const std::int64_t word = site / 64 * 3;
      const auto key_bit = [&](std::int64_t plane) {
        return bit(keys, (word + plane) * kIdentityLanes + lane);
      };
      if (!bit(query, word) || !key_bit(0)) continue;
      const std::uint64_t weight = 1 + bit(full, site / 64);
      ++o;
      s += weight;
      if (bit(query, word + 1) != key_bit(1) || bit(query, word + 2) != key_bit(2)) d += weight;
    }
    EXPECT_EQ(shared[lane], s);
    EXPECT_EQ(different[lane], d);
    EXPECT_EQ(overlap[lane], o);
  }
}

}  // namespace
}  // namespace barcodemae
