// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {

Tensor gather_rows(Context& context, Tensor x, View index) {
  check_index(index, x.rows());
  const Tensor y = make_output(context, index.rows, x.cols(), x.view.dtype);
  if (launches(context, y.rows())) context.backend.gather_rows_forward(y.view, x.view, index);
  if (context.tape != nullptr) {
    context.tape->record(y.node, {}, [=](View dy) {
      if (x.node < 0) return;
      const GradientTarget dx = context.tape->contribute(x.node);
      if (launches(context, y.rows())) {
        context.backend.gather_rows_backward(dx.view, dx.accumulate, dy, index);
      } else if (launches(context, x.rows()) && !dx.accumulate) {
        context.backend.zero(dx.view);
      }
    });
  }
  return y;
}

}  // namespace barcodemae::ops
