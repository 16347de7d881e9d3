// SPDX-License-Identifier: MIT
// Compiled once per instruction set by Highway (which includes this file again and again by the
// name that CMakeLists.txt gives it), chosen at run time.
#include "analysis/ward_kernel.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace barcodemae::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

WardNeighbour cheapest_merge_here(const double* HWY_RESTRICT centroid, double size,
                                  const double* HWY_RESTRICT centroids,
                                  const double* HWY_RESTRICT sizes, std::int64_t dimensions,
                                  std::int64_t first, std::int64_t last, double below) {
  const hn::CappedTag<double, kWardLanes> tag;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(tag));
  // Costs only grow with the dimensions: a look now and then spares most of them.
  constexpr std::int64_t kDimensionsBetweenLooks = 16;
  const auto own_size = hn::Set(tag, size);
  WardNeighbour best{below, -1};
  for (std::int64_t slot = first * kWardLanes; slot < last * kWardLanes; slot += lanes) {
    const double* others =
        centroids + slot / kWardLanes * dimensions * kWardLanes + slot % kWardLanes;
    const auto other_size = hn::LoadU(tag, sizes + slot);
    const auto weight = hn::Div(hn::Mul(own_size, other_size), hn::Add(own_size, other_size));
    const auto is_there = hn::Gt(other_size, hn::Zero(tag));
    // Two sums, so that an addition need not wait for the one before.
    auto even = hn::Zero(tag), odd = hn::Zero(tag), cost = hn::Zero(tag);
    const auto add_square = [&](std::int64_t d, hn::Vec<decltype(tag)>& sum) {
      const auto x = hn::Sub(hn::Set(tag, centroid[d]), hn::LoadU(tag, others + d * kWardLanes));
      sum = hn::MulAdd(x, x, sum);
    };
    bool one_is_cheaper = true;
    for (std::int64_t d = 0; d < dimensions && one_is_cheaper;) {
      const std::int64_t next = std::min(dimensions, d + kDimensionsBetweenLooks);
      for (; d + 1 < next; d += 2) {
        add_square(d, even);
        add_square(d + 1, odd);
      }
      if (d < next) add_square(d++, even);
      cost = hn::Mul(weight, hn::Add(even, odd));
      const auto cheaper = hn::And(is_there, hn::Lt(cost, hn::Set(tag, best.cost)));
      one_is_cheaper = !hn::AllFalse(tag, cheaper);
    }
    if (!one_is_cheaper) continue;
    double costs[kWardLanes];
    hn::StoreU(cost, tag, costs);
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      if (sizes[slot + lane] > 0 && costs[lane] < best.cost) best = {costs[lane], slot + lane};
    }
  }
  return best;
}

}  // namespace barcodemae::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace barcodemae {

HWY_EXPORT(cheapest_merge_here);

WardNeighbour cheapest_merge(const double* centroid, double size, const double* centroids,
                             const double* sizes, std::int64_t dimensions, std::int64_t first,
                             std::int64_t last, double below) {
  return HWY_DYNAMIC_DISPATCH(cheapest_merge_here)(centroid, size, centroids, sizes, dimensions,
                                                   first, last, below);
}

}  // namespace barcodemae
#endif
