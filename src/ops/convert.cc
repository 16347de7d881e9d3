// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {

Tensor convert(Context& context, Tensor x, DType dtype) {
  const Tensor y = make_output(context, x.rows(), x.cols(), dtype);
  if (launches(context, y.rows())) context.backend.convert_forward(y.view, x.view);
  if (context.tape != nullptr) {
    context.tape->record(y.node, {}, [=](View dy) {
      if (x.node < 0) return;
      const GradientTarget dx = context.tape->contribute(x.node);
      if (launches(context, x.rows())) {
        context.backend.convert_backward(dx.view, dx.accumulate, dy);
      }
    });
  }
  return y;
}

}  // namespace barcodemae::ops
