// SPDX-License-Identifier: MIT
// Compiled once per instruction set by Highway (which includes this file again and again by the
// name that CMakeLists.txt gives it), chosen at run time.
#include "analysis/ward_kernel.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <limits>

HWY_BEFORE_NAMESPACE();
namespace barcodemae::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

WardNeighbour cheapest_merge_here(const double* HWY_RESTRICT centroid, double size,
                                  const double* HWY_RESTRICT centroids,
                                  const double* HWY_RESTRICT sizes, std::int64_t dimensions,
                                  std::int64_t first, std::int64_t last) {
  const hn::CappedTag<double, kWardLanes> tag;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(tag));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto infinity = hn::Set(tag, kInfinity);
  const auto own_size = hn::Set(tag, size);
  WardNeighbour best{kInfinity, -1};
  for (std::int64_t lane = 0; lane < kWardLanes; lane += lanes) {
    auto best_cost = infinity;
    auto best_group = hn::Zero(tag);
    for (std::int64_t group = first; group < last; ++group) {
      const double* other = centroids + group * dimensions * kWardLanes + lane;
      // Two sums, so that an addition need not wait for the one before.
      auto even = hn::Zero(tag), odd = hn::Zero(tag);
      std::int64_t d = 0;
      for (; d + 1 < dimensions; d += 2) {
        const auto x = hn::Sub(hn::Set(tag, centroid[d]), hn::LoadU(tag, other + d * kWardLanes));
        const auto y =
            hn::Sub(hn::Set(tag, centroid[d + 1]), hn::LoadU(tag, other + (d + 1) * kWardLanes));
        even = hn::MulAdd(x, x, even);
        odd = hn::MulAdd(y, y, odd);
      }
      if (d < dimensions) {
        const auto x = hn::Sub(hn::Set(tag, centroid[d]), hn::LoadU(tag, other + d * kWardLanes));
        even = hn::MulAdd(x, x, even);
      }
      const auto other_size = hn::LoadU(tag, sizes + group * kWardLanes + lane);
      const auto weight = hn::Div(hn::Mul(own_size, other_size), hn::Add(own_size, other_size));
      const auto cost = hn::Mul(weight, hn::Add(even, odd));
      const auto better = hn::And(hn::Lt(cost, best_cost), hn::Gt(other_size, hn::Zero(tag)));
      best_cost = hn::IfThenElse(better, cost, best_cost);
      best_group = hn::IfThenElse(better, hn::Set(tag, static_cast<double>(group)), best_group);
    }
    double costs[kWardLanes], groups[kWardLanes];
    hn::StoreU(best_cost, tag, costs);
    hn::StoreU(best_group, tag, groups);
    for (std::int64_t i = 0; i < lanes; ++i) {
      if (costs[i] == kInfinity) continue;
      const std::int64_t slot = static_cast<std::int64_t>(groups[i]) * kWardLanes + lane + i;
      if (costs[i] < best.cost || (costs[i] == best.cost && slot < best.slot)) {
        best = {costs[i], slot};
      }
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
                             std::int64_t last) {
  return HWY_DYNAMIC_DISPATCH(cheapest_merge_here)(centroid, size, centroids, sizes, dimensions,
                                                   first, last);
}

}  // namespace barcodemae
#endif
