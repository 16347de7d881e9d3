// SPDX-License-Identifier: MIT
// Softmax cross entropy over rows of logits.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/lanes.h"

namespace barcodemae::cpu {
namespace {

CrossEntropySums cross_entropy(const CrossEntropyRows& a) {
  CrossEntropySums sums;
  with_type(a.dlogits_type, [&](auto type) {
    using T = decltype(type);
    const std::int64_t width = a.groups * a.classes;
    for (std::int64_t r = 0; r < a.rows; ++r) {
      float* logits = a.logits + r * a.logits_stride;
      const float* site = a.site ? a.site + a.positions[r] * width : nullptr;
      if (a.bias || site) {
        for_lanes(width, [&](std::int64_t c, auto lanes) {
          Floats z = load(logits + c, lanes);
          if (a.bias) z += load(a.bias + c, lanes);
          if (site) z += load(site + c, lanes);
          store(logits + c, z, lanes);
        });
      }
      bool hit = true;
      for (std::int64_t g = 0; g < a.groups; ++g) {
        const float* z = logits + g * a.classes;
        const std::int64_t target = a.targets[r * a.groups + g];
        Floats most = broadcast(z[0]);
        for_lanes(a.classes, [&](std::int64_t c, auto lanes) {
          most = max(most, valid_or(load(z + c, lanes), z[0], lanes));
        });
        const float top = largest(most);
        Floats total{};
        for_lanes(a.classes, [&](std::int64_t c, auto lanes) {
          total += valid_or(exp(load(z + c, lanes) - top), 0, lanes);
        });
        const float denominator = sum(total);
        sums.loss += __builtin_log(static_cast<double>(denominator)) +
                     (static_cast<double>(top) - static_cast<double>(z[target]));
        bool earlier = false;
        for (std::int64_t c = 0; c < target; ++c) earlier |= z[c] == top;
        hit = hit && z[target] == top && !earlier;

        if (!a.dlogits) continue;
        T* d = row_of<T>(a.dlogits, r, a.dlogits_stride) + g * a.classes;
        const Floats factor = broadcast(a.dscale / denominator);
        for_lanes(a.classes, [&](std::int64_t c, auto lanes) {
          store(d + c, exp(load(z + c, lanes) - top) * factor, lanes);
        });
        const float at_target = __builtin_expf(z[target] - top) / denominator - 1.0f;
        float values[kLanes] = {at_target * a.dscale};
        store(d + target, load(values, AllLanes{}), SomeLanes{1});
      }
      sums.hits += hit;
    }
  });
  return sums;
}

}  // namespace
}  // namespace barcodemae::cpu
