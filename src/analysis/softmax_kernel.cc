// SPDX-License-Identifier: MIT
// Compiled once per instruction set by Highway (which includes this file again and again by the
// name that CMakeLists.txt gives it), chosen at run time.
#include "analysis/softmax_kernel.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After those two: it is compiled as often as they say.
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace barcodemae::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

double scaled_softmax_here(float* HWY_RESTRICT logits, std::int64_t count, double factor) {
  const hn::CappedTag<float, kSoftmaxPadding> tag;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(tag));
  constexpr std::int64_t kBlock = 256;
  auto top = hn::Set(tag, -INFINITY);
  for (std::int64_t i = 0; i < count; i += lanes) top = hn::Max(top, hn::LoadU(tag, logits + i));
  top = hn::MaxOfLanes(tag, top);
  double sum = 0;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    auto block_sum = hn::Zero(tag);
    for (std::int64_t i = begin; i < std::min(count, begin + kBlock); i += lanes) {
      const auto e = hn::Exp(tag, hn::Sub(hn::LoadU(tag, logits + i), top));
      hn::StoreU(e, tag, logits + i);
      block_sum = hn::Add(block_sum, e);
    }
    sum += double{hn::GetLane(hn::SumOfLanes(tag, block_sum))};
  }
  const auto scale = hn::Set(tag, static_cast<float>(factor / sum));
  for (std::int64_t i = 0; i < count; i += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(tag, logits + i), scale), tag, logits + i);
  }
  return double{hn::GetLane(top)} + std::log(sum);
}

}  // namespace barcodemae::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace barcodemae {

HWY_EXPORT(scaled_softmax_here);

double scaled_softmax(float* logits, std::int64_t count, double factor) {
  return HWY_DYNAMIC_DISPATCH(scaled_softmax_here)(logits, count, factor);
}

}  // namespace barcodemae
#endif
