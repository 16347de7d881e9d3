// SPDX-License-Identifier: MIT
// Compiled once per instruction set by Highway (which includes this file again and again by the
// name that CMakeLists.txt gives it), chosen at run time.
#include "analysis/identity_kernel.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace barcodemae::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void compare_group_here(const std::uint64_t* HWY_RESTRICT query,
                        const std::uint64_t* HWY_RESTRICT keys,
                        const std::uint64_t* HWY_RESTRICT full_weight, std::int64_t words,
                        std::uint64_t* HWY_RESTRICT shared, std::uint64_t* HWY_RESTRICT different,
                        std::uint64_t* HWY_RESTRICT overlap) {
  const hn::CappedTag<std::uint64_t, kIdentityLanes> tag;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(tag));
  for (std::int64_t lane = 0; lane < kIdentityLanes; lane += lanes) {
    auto common_count = hn::Zero(tag), shared_full = hn::Zero(tag);
    auto differing_count = hn::Zero(tag), differing_full = hn::Zero(tag);
    for (std::int64_t word = 0; word < words; ++word) {
      const std::uint64_t* key = keys + word * 3 * kIdentityLanes + lane;
      const auto common = hn::And(hn::Set(tag, query[word * 3]), hn::LoadU(tag, key));
      const auto low =
          hn::Xor(hn::Set(tag, query[word * 3 + 1]), hn::LoadU(tag, key + kIdentityLanes));
      const auto high =
          hn::Xor(hn::Set(tag, query[word * 3 + 2]), hn::LoadU(tag, key + 2 * kIdentityLanes));
      const auto differing = hn::And(common, hn::Or(low, high));
      const auto full = hn::Set(tag, full_weight[word]);
      common_count = hn::Add(common_count, hn::PopulationCount(common));
      shared_full = hn::Add(shared_full, hn::PopulationCount(hn::And(common, full)));
      differing_count = hn::Add(differing_count, hn::PopulationCount(differing));
      differing_full = hn::Add(differing_full, hn::PopulationCount(hn::And(differing, full)));
    }
    // A site of weight 1 counts twice, one of weight ½ once.
    hn::StoreU(hn::Add(common_count, shared_full), tag, shared + lane);
    hn::StoreU(hn::Add(differing_count, differing_full), tag, different + lane);
    hn::StoreU(common_count, tag, overlap + lane);
  }
}

}  // namespace barcodemae::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace barcodemae {

HWY_EXPORT(compare_group_here);

void compare_group(const std::uint64_t* query, const std::uint64_t* keys,
                   const std::uint64_t* full_weight, std::int64_t words, std::uint64_t* shared,
                   std::uint64_t* different, std::uint64_t* overlap) {
  HWY_DYNAMIC_DISPATCH(compare_group_here)
  (query, keys, full_weight, words, shared, different, overlap);
}

}  // namespace barcodemae
#endif
