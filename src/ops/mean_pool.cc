// SPDX-License-Identifier: MIT
#include "ops/op.h"
#include "ops/ops.h"

namespace barcodemae::ops {

Tensor mean_pool(Context& context, Tensor x, const Segments& segments) {
  check_rows(segments, x.rows());
  const Tensor y = make_output(context, segments.sequences(), x.cols(), context.statistics());
  // Sequences without tokens have a row too: zeros.
  if (launches(context, y.rows())) context.backend.mean_pool_forward(y.view, x.view, segments);
  if (context.tape != nullptr) {
    context.tape->record(y.node, {}, [=](View dy) {
      if (x.node < 0) return;
      const GradientTarget dx = context.tape->contribute(x.node);
      if (!launches(context, x.rows())) return;
      context.backend.mean_pool_backward(dx.view, dx.accumulate, dy, segments);
    });
  }
  return y;
}

}  // namespace barcodemae::ops
