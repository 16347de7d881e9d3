// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {

Tensor add(Context& context, Tensor a, Tensor b) {
  check_same_shape(a.view, b.view);
  const Tensor y = make_output(context, a.rows(), a.cols(), a.view.dtype);
  if (launches(context, y.rows())) context.backend.add_forward(y.view, a.view, b.view);
  if (context.tape != nullptr) {
    context.tape->record(y.node, {}, [context, a, b](View dy) {
      for (const int node : {a.node, b.node}) {
        if (node < 0) continue;
        const GradientTarget dx = context.tape->contribute(node);
        if (!launches(context, dy.rows)) continue;
        if (!dx.accumulate) context.backend.zero(dx.view);
        context.backend.add_forward(dx.view, dx.view, dy);
      }
    });
  }
  return y;
}

}  // namespace barcodemae::ops
